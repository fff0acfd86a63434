"""What a workflow may call: functions with a name, a version and typed arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from parley_coordinator.workflow.fields import HUMAN_TASK, Function

AGENTS: Final = "agents"
"""The catalog with every skill of the agents that the registry knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionInfo:
    """One version of one function."""

    name: str
    version: str
    input_schema: dict[str, Any] | None
    """None: not known, so arguments are not checked."""
    output_schema: dict[str, Any] | None
    effect: Literal["read", "write", "unknown"]
    idempotent: bool
    undo: str = ""
    """The skill that undoes what this one does; empty: none."""


class Catalog(Protocol):
    """The functions of the catalog `agents`, as they are now."""

    def functions(self) -> Mapping[str, list[FunctionInfo]]:
        """Return every known version of every function, by name."""
        ...


HUMAN_TASK_FUNCTION: Final = FunctionInfo(
    name=HUMAN_TASK,
    version="1.0.0",
    input_schema={
        "type": "object",
        "required": ["title", "candidates", "outcomes", "proposal"],
        "additionalProperties": False,
        "properties": {
            "title": {"type": "string", "minLength": 1},
            "candidates": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "pattern": "^(role|user):[^\\s]+$"},
            },
            "excludeActors": {"type": "array", "items": {"type": "string"}},
            "outcomes": {
                "type": "array",
                "minItems": 1,
                "uniqueItems": True,
                "items": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]*$"},
            },
            "summary": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name", "value"],
                    "additionalProperties": False,
                    "properties": {
                        "name": {"type": "string"},
                        "value": {},
                        "source": {"type": "string"},
                    },
                },
            },
            "reason": {"type": "string"},
            "proposal": {
                "type": "object",
                "required": ["action"],
                "properties": {"action": {"type": "string"}, "arguments": {"type": "object"}},
            },
            "form": {"type": "object"},
            "priority": {"enum": ["low", "normal", "high", "urgent"]},
        },
    },
    output_schema={
        "type": "object",
        "required": ["outcome", "by", "at", "comment", "values", "digest", "item"],
        "properties": {
            "outcome": {"type": "string"},
            "by": {"type": "string"},
            "at": {"type": "string"},
            "comment": {"type": "string"},
            "values": {"type": "object"},
            "digest": {"type": "string"},
            "item": {"type": "string"},
        },
    },
    effect="read",
    idempotent=True,
)
"""`human-task:1.0.0@parley`: asks people. Its deadline is the task's own timeout; no answer is a
timeout error, never an outcome."""


def find(functions: Mapping[str, list[FunctionInfo]], wanted: Function) -> FunctionInfo | None:
    """Return what `name:version@catalog` means; None if there is no such function.

    Args:
        functions: Of the catalog `agents`.
    """
    if wanted.asks_people:
        versions = [HUMAN_TASK_FUNCTION]
    elif wanted.catalog == AGENTS:
        versions = functions.get(wanted.name, [])
    else:
        return None
    return next((each for each in versions if each.version == wanted.version), None)
