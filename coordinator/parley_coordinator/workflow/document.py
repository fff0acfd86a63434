"""A workflow document: loaded strictly from YAML, or taken back from its pinned JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from parley_cards.canonical import digest
from parley_cards.delegation import Budget, InvalidDelegationError
from parley_cards.delegation_json import read_budget
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from parley_coordinator.workflow import calls, events, fields, tasks
from parley_coordinator.workflow.calls import Authentication, Resource
from parley_coordinator.workflow.events import Read, Strategy
from parley_coordinator.workflow.fields import (
    NO_INPUT,
    NO_OUTPUT,
    Duration,
    ErrorSpec,
    InputSpec,
    Label,
    OutputSpec,
    RetryPolicy,
    SecretName,
    Strict,
    TaskName,
    Timeout,
    TimeoutSpec,
    problem,
)
from parley_coordinator.workflow.findings import Positions, refuse
from parley_coordinator.workflow.model_findings import model_findings
from parley_coordinator.workflow.schemas import Schema
from parley_coordinator.workflow.source import read
from parley_coordinator.workflow.tasks import AnyTask, NamedTask, TaskList

_Version = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$")]


def _with_budget(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        read_budget(metadata.get("budget", {}))
    except InvalidDelegationError as exc:
        message = f"the budget of a run is not one: {exc.reason}"
        fix = 'write budget: {calls: 20, cost: {amount: "5.00", unit: EUR}}'
        raise problem("budget", message, fix) from exc
    return metadata


class Head(Strict):
    """The key `document`."""

    dsl: Annotated[str, StringConstraints(pattern=r"^1\.0\.\d+$")]
    namespace: Label
    name: Label
    version: _Version
    title: str = ""
    summary: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    metadata: Annotated[dict[str, Any], AfterValidator(_with_budget)] = Field(default_factory=dict)


def _a_call(value: Any) -> Any:
    if isinstance(value, dict) and "call" not in value:
        raise problem("function", "a function of a document is a call", "give it `call` and `with`")
    return value


_TRIGGERS: Final = frozenset(("every", "cron", "after", "on"))


class Schedule(Strict):
    """When runs start by themselves."""

    every: Duration | None = None
    cron: Annotated[str, StringConstraints(min_length=9, max_length=200)] | None = None
    after: Duration | None = None
    on: Strategy | None = None
    read: Read = "data"

    @model_validator(mode="before")
    @classmethod
    def _one_of(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(_TRIGGERS & value.keys()) != 1:
            message = "a schedule has exactly one of `every`, `cron`, `after` and `on`"
            raise problem("schedule", message, "write schedule: {every: {hours: 1}}")
        return value


class Use(Strict):
    """What tasks refer to by name."""

    authentications: dict[str, Authentication] = Field(default_factory=dict)
    catalogs: dict[str, Resource] = Field(default_factory=dict)
    errors: dict[str, ErrorSpec] = Field(default_factory=dict)
    functions: dict[TaskName, Annotated[AnyTask, BeforeValidator(_a_call)]] = Field(
        default_factory=dict
    )
    secrets: tuple[SecretName, ...] = ()
    retries: dict[str, RetryPolicy] = Field(default_factory=dict)
    timeouts: dict[str, TimeoutSpec] = Field(default_factory=dict)


class Evaluate(Strict):
    language: Literal["jq"] = "jq"
    mode: Literal["strict", "loose"] = "strict"


class Body(Strict):
    """The whole document."""

    document: Head
    input: InputSpec = NO_INPUT
    use: Use = Use()
    do: TaskList
    timeout: Timeout | None = None
    output: OutputSpec = NO_OUTPUT
    evaluate: Evaluate = Evaluate()
    schedule: Schedule | None = None


_LATER: Final = frozenset(("extensions",))
_KEYS: Final = sorted(
    {
        model_field.alias or name
        for module in (fields, tasks, calls, events)
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, Strict)
        for name, model_field in model.model_fields.items()
    }
    | set(Body.model_fields)
    | set(Head.model_fields)
    | set(Use.model_fields)
    | set(Schedule.model_fields)
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
    schedule: Schedule | None
    budget: Budget
    """What one run may use up: `document.metadata.budget`."""
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
        found = model_findings(exc, positions, keys=_KEYS, later=_LATER)
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
        schedule=body.schedule,
        budget=read_budget(body.document.metadata.get("budget", {})),
        checks_input=body.input.schema_,
        checks_output=body.output.schema_,
        positions=positions,
    )


def _schema_json(schema: Schema | None) -> dict[str, Any] | None:
    return None if schema is None else schema.document
