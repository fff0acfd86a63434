"""A workflow document: loaded strictly from YAML, or taken back from its pinned JSON form."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from parley_cards.canonical import digest
from pydantic import Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from parley_coordinator.workflow import fields, tasks
from parley_coordinator.workflow.fields import (
    NO_INPUT,
    NO_OUTPUT,
    ErrorSpec,
    InputSpec,
    OutputSpec,
    RetryPolicy,
    Strict,
    Timeout,
    TimeoutSpec,
)
from parley_coordinator.workflow.findings import Finding, Positions, escape, refuse
from parley_coordinator.workflow.schemas import Schema
from parley_coordinator.workflow.source import read
from parley_coordinator.workflow.tasks import NamedTask, TaskList

_Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
_Version = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$")]


class Head(Strict):
    """The key `document`."""

    dsl: Annotated[str, StringConstraints(pattern=r"^1\.0\.\d+$")]
    namespace: _Label
    name: _Label
    version: _Version
    title: str = ""
    summary: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)


class Use(Strict):
    """What tasks refer to by name."""

    errors: dict[str, ErrorSpec] = Field(default_factory=dict)
    retries: dict[str, RetryPolicy] = Field(default_factory=dict)
    timeouts: dict[str, TimeoutSpec] = Field(default_factory=dict)


class Evaluate(Strict):
    language: Literal["jq"] = "jq"
    mode: Literal["strict"] = "strict"


class Body(Strict):
    """The whole document."""

    document: Head
    input: InputSpec = NO_INPUT
    use: Use = Use()
    do: TaskList
    timeout: Timeout | None = None
    output: OutputSpec = NO_OUTPUT
    evaluate: Evaluate = Evaluate()


_LATER: Final = frozenset(("schedule",))
_KEYS: Final = sorted(
    {
        model_field.alias or name
        for module in (fields, tasks)
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, Strict)
        for name, model_field in model.model_fields.items()
    }
    | set(Body.model_fields)
    | set(Head.model_fields)
    | set(Use.model_fields)
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Document:
    """A workflow that has the shape of the profile. `check` tells whether it may run, too."""

    namespace: str
    name: str
    version: str
    title: str
    summary: str
    digest: str
    """Of the canonical form of `json`, `sha256:...`: what a run is pinned to."""
    json: dict[str, Any]
    """Exactly what the text says; not to be changed."""
    tasks: tuple[NamedTask, ...]
    use: Use
    input_schema: dict[str, Any] | None
    input_from: Any
    output_as: Any
    output_schema: dict[str, Any] | None
    timeout: Timeout | None
    checks_input: Schema | None = field(repr=False)
    """`input_schema`, compiled."""
    checks_output: Schema | None = field(repr=False)
    positions: Positions = field(default_factory=Positions, repr=False)
    """Empty for a pinned document."""

    @classmethod
    def from_json(cls, json: Mapping[str, Any], *, source: str = "document") -> Document:
        """Take back a pinned document.

        Raises:
            InvalidWorkflowError: If it does not have the shape of the profile.
        """
        return _build(dict(json), Positions(), source)

    def input_problems(self, value: Any) -> list[str]:
        """Return what of a run's input does not fit, as sentences; empty if it fits."""
        return self.checks_input.problems(value) if self.checks_input else []


def load_document(raw: bytes | str, *, source: str) -> Document:
    """Load a document from YAML 1.2 (or JSON) text.

    Args:
        source: What to call it in messages: its file name.

    Raises:
        InvalidWorkflowError: With every reason, each with line and column, in `facts["findings"]`.
    """
    value, positions = read(raw, source=source)
    return _build(value, positions, source)


def _build(value: Any, positions: Positions, source: str) -> Document:
    if not isinstance(value, dict):
        message = "a workflow document is an object"
        fix = "start with `document:` and `do:`"
        raise refuse(source, [positions.finding("", "document", message, fix)])
    try:
        body = Body.model_validate(value)
        pinned = digest(value)
    except ValidationError as exc:
        found = [_finding(error, positions) for error in exc.errors(include_url=False)]
        raise refuse(source, found) from exc
    except ValueError as exc:
        finding = positions.finding("", "document", f"no canonical form: {exc}", "change the value")
        raise refuse(source, [finding]) from exc
    return Document(
        namespace=body.document.namespace,
        name=body.document.name,
        version=body.document.version,
        title=body.document.title or body.document.name,
        summary=body.document.summary,
        digest=pinned,
        json=value,
        tasks=body.do,
        use=body.use,
        input_schema=_schema_json(body.input.schema_),
        input_from=body.input.from_,
        output_as=body.output.as_,
        output_schema=_schema_json(body.output.schema_),
        timeout=body.timeout,
        checks_input=body.input.schema_,
        checks_output=body.output.schema_,
        positions=positions,
    )


def _schema_json(schema: Schema | None) -> dict[str, Any] | None:
    return None if schema is None else schema.document


def _finding(error: ErrorDetails, positions: Positions) -> Finding:
    path, last = _pointer(error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    if "said" in context:
        step = context["step"]
        return positions.finding(path + step, kind, context["said"], context["fix"])
    match kind:
        case "extra_forbidden" if last in _LATER:
            message = f"`{last}` is not in the profile yet"
            return positions.finding(path, "not-in-profile", message, f"remove {last!r}", key=True)
        case "extra_forbidden":
            close = difflib.get_close_matches(last, _KEYS, n=1)
            fix = f"did you mean {close[0]!r}?" if close and close[0] != last else "remove it"
            message = f"there is no key {last[:60]!r} here"
            return positions.finding(path, "unknown-key", message, fix, key=True)
        case "missing":
            parent = path.rpartition("/")[0]
            message = f"the key {last!r} is missing"
            return positions.finding(parent, "missing-key", message, f"add {last!r}")
        case "union_tag_not_found" | "union_tag_invalid":
            message = f"{last!r} must be a name or an object"
            return positions.finding(path, "type", message, "correct the value")
        case "string_pattern_mismatch":
            message = f"{last!r} must match {context['pattern']}"
            return positions.finding(path, "value", message, "correct the value")
    said = error["msg"][:1].lower() + error["msg"][1:]
    return positions.finding(path, "value", f"{last!r}: {said}", "correct the value")


def _pointer(loc: tuple[int | str, ...]) -> tuple[str, str]:
    """Return the JSON pointer of a pydantic location, and its last step.

    Tags of unions (`<call>`) and the marker of a map's key (`[key]`) are no steps.
    """
    steps = [step for step in loc if not (isinstance(step, str) and step[:1] in "<[")]
    return "".join(f"/{escape(step)}" for step in steps), str(steps[-1]) if steps else ""
