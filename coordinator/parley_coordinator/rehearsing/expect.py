"""What a case may expect of a run."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, PlainValidator, StringConstraints, Tag, model_validator

from parley_coordinator.workflow.durations import duration
from parley_coordinator.workflow.errors import BASE
from parley_coordinator.workflow.fields import ErrorFilter, Strict, by_type, problem

State: TypeAlias = Literal["completed", "faulted", "waiting", "refused"]
"""`refused`: the input does not fit, so nothing was started."""


def _read_length(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    try:
        return duration(value)
    except ValueError as exc:
        raise problem("duration", str(exc), "write {hours: 2} or PT2H") from exc


Length: TypeAlias = Annotated[timedelta, PlainValidator(_read_length)]
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


def uri_of(type_: str) -> str:
    """Return the URI of an error type that may be written short."""
    return type_ if ":" in type_ or "/" in type_ else BASE + type_


class CallSpec(Strict):
    """A call that is expected, by at least one of its names."""

    skill: Text | None = None
    task: Text | None = None
    protocol: Text | None = None
    workflow: Text | None = None
    with_: Any = Field(None, alias="with")

    @model_validator(mode="before")
    @classmethod
    def _is_named(cls, value: Any) -> Any:
        names = ("skill", "task", "protocol", "workflow")
        if isinstance(value, dict) and not any(key in value for key in names):
            message = f"a call that is expected has one of {', '.join(names)}"
            raise problem("call", message, "write {skill: post-invoice, with: {...}}")
        return value


ExpectedCall: TypeAlias = Annotated[
    Annotated[Text, Tag("<name>")] | Annotated[CallSpec, Tag("<object>")], Discriminator(by_type)
]


class AskedSpec(Strict):
    """A question to people that is expected; what is left out is not compared."""

    task: Text | None = None
    title: str | None = None
    candidates: tuple[str, ...] | None = None
    exclude_actors: tuple[str, ...] | None = Field(None, alias="excludeActors")
    outcomes: tuple[str, ...] | None = None
    with_: Any = Field(None, alias="with")


class Expect(Strict):
    """What must come of the run."""

    state: State | None = None
    output: Any = None
    output_exactly: Any = Field(None, alias="outputExactly")
    error: ErrorFilter | None = None
    calls: tuple[ExpectedCall, ...] | None = None
    not_called: tuple[Text, ...] = Field((), alias="notCalled")
    asked: tuple[AskedSpec, ...] | None = None
    emitted: tuple[dict[str, Any], ...] | None = None
    tasks: tuple[Text, ...] | None = None
    took: Length | None = None

    @model_validator(mode="before")
    @classmethod
    def _says_something(cls, value: Any) -> Any:
        if isinstance(value, dict) and not value:
            raise problem("expect", "nothing is expected", "add state: completed")
        return value

    @model_validator(mode="after")
    def _agrees(self) -> Expect:
        given = self.model_fields_set
        output = bool(given & {"output", "output_exactly"})
        failed = self.error is not None
        if failed and (output or self.state in ("completed", "waiting")):
            message = "a run with an `error` is faulted or refused, and has no output"
            raise problem("expect", message, "remove one of them")
        if output and self.state not in (None, "completed"):
            message = "only a completed run has an output"
            raise problem("expect", message, "remove `output` or `state`")
        return self

    @property
    def ends(self) -> State:
        return self.state or ("completed" if self.error is None else "faulted")
