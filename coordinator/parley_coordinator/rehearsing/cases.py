"""The format of a case: what a run is given, who answers what, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationError,
    model_validator,
)

from parley_coordinator.governance.access import Role
from parley_coordinator.rehearsing.expect import Expect, Length, Text, uri_of
from parley_coordinator.workflow.errors import WorkflowError
from parley_coordinator.workflow.events import REQUIRED, EventProperties
from parley_coordinator.workflow.fields import Status, Strict, problem
from parley_coordinator.workflow.findings import Positions
from parley_coordinator.workflow.rehearsal import STARTED

MAX_CASES: Final = 1000
SECTIONS: Final = ("agents", "people", "protocols", "workflows")
"""Keys that hold answers by name."""


def _read_moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    fix = "write 2026-11-23T09:00:00Z"
    raise problem("time", "a time is ISO 8601 with its offset from UTC", fix)


def _one_or_more(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        return "<list>"
    return "<one>" if isinstance(value, dict | BaseModel) else None


Moment: TypeAlias = Annotated[datetime, PlainValidator(_read_moment)]
Times: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=100_000)]


class ScriptedError(Strict):
    """An error that somebody outside answers with."""

    type: Text
    """`communication` or a whole URI."""
    title: str = "It did not work"
    detail: str | None = None
    status: Status | None = None

    def error(self) -> WorkflowError:
        return WorkflowError(uri_of(self.type), self.title, self.detail, status=self.status)


class _Turn(Strict):
    one_of: ClassVar[tuple[str, ...]]
    """Keys of which it has exactly one."""
    fix: ClassVar[str]

    silent: Literal[True] | None = None
    after: Length = timedelta()
    times: Times | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_one(cls, value: Any) -> Any:
        if isinstance(value, dict) and len([key for key in cls.one_of if key in value]) != 1:
            message = f"an answer has exactly one of {', '.join(f'`{key}`' for key in cls.one_of)}"
            raise problem("answer", message, cls.fix)
        return value


class Answer(_Turn):
    """What a protocol call or another workflow answers."""

    one_of: ClassVar[tuple[str, ...]] = ("output", "error", "silent")
    fix = "write {output: ...}, {error: {type: communication}} or {silent: true}"

    output: Any = None
    error: ScriptedError | None = None


class AgentAnswer(Answer):
    one_of: ClassVar[tuple[str, ...]] = (*Answer.one_of, "outsideContract")

    outside_contract: Any = Field(None, alias="outsideContract")
    """An output that breaks the contract of the skill, on purpose."""


class Decision(_Turn):
    """What a person answers."""

    one_of: ClassVar[tuple[str, ...]] = ("outcome", "silent")
    fix = "write {outcome: approve, by: anna} or {silent: true}"

    outcome: Text | None = None
    by: Text | None = None
    roles: tuple[Role, ...] | None = None
    """Of the person; left out: of the account of that name, else those that are asked."""
    comment: str = ""
    values: dict[str, Any] = Field(default_factory=dict)
    refused: Literal["not_eligible", "not_permitted", "invalid_decision"] | None = None
    """The code with which the inbox refuses it; the question stays open."""

    @model_validator(mode="before")
    @classmethod
    def _somebody(cls, value: Any) -> Any:
        if isinstance(value, dict) and "outcome" in value and "by" not in value:
            raise problem("answer", "somebody decides", "say who: by: anna")
        return value


class Occurrence(Strict):
    """An event from outside."""

    after: Length = timedelta()
    event: dict[str, Any]

    @model_validator(mode="after")
    def _is_event(self) -> Occurrence:
        try:
            EventProperties.model_validate({"with": self.event})
        except ValidationError as exc:
            known = {"said": "an event is not empty", "fix": "give it a type and a source"}
            known |= exc.errors(include_url=False)[0].get("ctx", {})
            raise problem("event", known["said"], known["fix"]) from exc
        for name in REQUIRED:
            given = self.event.get(name, "" if name in ("type", "source") else "x")
            if not isinstance(given, str) or not given:
                fix = "write {type: com.example.paid.v1, source: /bank, data: {...}}"
                raise problem("event", f"{name!r} of an event is text, and not empty", fix)
        return self


AgentAnswers: TypeAlias = Annotated[
    Annotated[AgentAnswer, Tag("<one>")]
    | Annotated[tuple[AgentAnswer, ...], Field(min_length=1), Tag("<list>")],
    Discriminator(_one_or_more),
]
Answers: TypeAlias = Annotated[
    Annotated[Answer, Tag("<one>")]
    | Annotated[tuple[Answer, ...], Field(min_length=1), Tag("<list>")],
    Discriminator(_one_or_more),
]
Decisions: TypeAlias = Annotated[
    Annotated[Decision, Tag("<one>")]
    | Annotated[tuple[Decision, ...], Field(min_length=1), Tag("<list>")],
    Discriminator(_one_or_more),
]


class Given(Strict):
    """What a run is given: of one case, or of all cases in a file."""

    workflow: Text | None = None
    input: Any = Field(default_factory=dict)
    requested_by: Text = Field("requester", alias="requestedBy")
    started: Moment = STARTED
    stop_after: Length | None = Field(None, alias="stopAfter")
    secrets: dict[str, Any] = Field(default_factory=dict)
    agents: dict[str, AgentAnswers] = Field(default_factory=dict)
    people: dict[str, Decisions] = Field(default_factory=dict)
    protocols: dict[str, Answers] = Field(default_factory=dict)
    workflows: dict[str, Answers] = Field(default_factory=dict)
    events: tuple[Occurrence, ...] = ()
    unused: Literal["warn", "allow"] = "warn"


def _sentence(value: Any) -> Any:
    if isinstance(value, str) and "".join(value.split()) == "":
        raise problem("name", "a case has a name", "say in a sentence what must be so")
    return " ".join(value.split()) if isinstance(value, str) else value


class CaseBody(Given):
    case: Annotated[Text, BeforeValidator(_sentence)]
    expect: Expect


class CasesBody(Given):
    cases: tuple[CaseBody, ...] = Field(min_length=1, max_length=MAX_CASES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One case, with what its file gives to all."""

    name: str
    source: str
    """The file, as messages call it."""
    path: str
    """JSON pointer in that file."""
    given: Given
    expect: Expect
    shared: frozenset[tuple[str, str]]
    """Sections and names of answers that are the file's, not its own."""
    positions: Positions = field(repr=False)

    @property
    def line(self) -> int:
        return self.positions.of(self.path)[0]


def together(shared: Given, own: CaseBody) -> tuple[Given, frozenset[tuple[str, str]]]:
    """Return what a case is given by its file and by itself, and which answers are the file's."""
    values: dict[str, Any] = {}
    theirs: set[tuple[str, str]] = set()
    for name in Given.model_fields:
        mine = getattr(own, name)
        if name not in shared.model_fields_set:
            values[name] = mine
        elif name in (*SECTIONS, "secrets"):
            inherited: Mapping[str, Any] = getattr(shared, name)
            values[name] = {**inherited, **mine}
            theirs |= {(name, key) for key in inherited if key not in mine}
        else:
            values[name] = mine if name in own.model_fields_set else getattr(shared, name)
    return Given.model_construct(**values), frozenset(theirs)
