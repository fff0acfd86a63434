"""The A2A extensions that Parley's cards and messages use (A2A 1.0 section 4.6).

An agent that knows none of them still works: the skill then has no contract to check against.
"""

from typing import Final

SKILL_CONTRACT: Final = "urn:parley:a2a:skill-contract:v1"
"""Card extension. `params.skills[ID] = {version, input, output, idempotent, effect, undo?}`: the
JSON Schemas of a skill's one data part in and out, whether sending it twice is harmless, whether it
reads or writes, and which skill undoes it."""

DELEGATION: Final = "urn:parley:a2a:delegation:v1"
"""Card extension, and message metadata: `{skill, version, run, path, attempt}`, which skill is addressed
and for whom, with the contract of docs/delegation-extension.md: `{deadline, budget, ancestors,
traceparent, idempotencyKey}`. In the metadata of an answer: `{spent}`."""

FORM: Final = "urn:parley:a2a:form:v1"
"""Metadata of the data part in an INPUT_REQUIRED status message: `{message, requestedSchema}`, the
flat JSON Schema subset of MCP elicitation 2026-07-28."""

DEDUPE: Final = "urn:parley:a2a:dedupe:v1"
"""Card extension. The server returns the stored task when a message arrives a second time, so a
message whose answer was lost may be sent again."""
