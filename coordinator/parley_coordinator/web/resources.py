"""What goes out over REST, as pydantic models; the OpenAPI document is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parley_coordinator.model import Effect, Entry, Page, Run, Why, WhyStep, WorkItem
    from parley_coordinator.web.a2a.relay_ports import Act
    from parley_coordinator.web.ports import Agent, Load

RunStateName = Literal["running", "waiting", "completed", "faulted", "cancelled"]
ItemStateName = Literal["ready", "decided", "expired", "withdrawn"]
HealthName = Literal["up", "unknown", "down"]


class Resource(BaseModel):
    """camelCase outside, snake_case inside."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        from_attributes=True,
        use_attribute_docstrings=True,
    )


class RunSummary(Resource):
    id: str
    workflow: str
    version: str
    digest: str
    """Of the workflow document that the run is pinned to."""
    state: RunStateName
    waiting_for: list[dict[str, Any]]
    """While waiting: `{kind: item|agent|timer|event|run|engine, path, since, until, item?, agent?, run?}`."""
    requested_by: str
    context_id: str
    created_at: datetime
    updated_at: datetime


class RunResource(RunSummary):
    input: Any
    output: Any
    """null until the run is completed."""
    error: dict[str, Any] | None
    """`{type, status, title, detail, instance}` of a faulted run."""


class EffectResource(Resource):
    run_id: str
    """Of the run itself, or of one that it has started."""
    path: str
    attempt: str
    title: str
    agent: str
    """Or the host of a protocol call."""
    task: str
    """The agent's; empty: it has named none."""
    state: Literal["done", "cancelled", "running", "unknown"]
    """`done` stays done; `running`: it may be, it could not be stopped; `unknown`: it may have been done."""
    said: str
    """What came of it, in words."""


class CancelledRun(RunResource):
    effects: list[EffectResource]
    """What it has done or begun elsewhere; what only reads, or is known to have had no effect, is left out."""

    @classmethod
    def of(cls, run: Run, effects: Sequence[Effect]) -> Self:
        told = [EffectResource.model_validate(effect) for effect in effects]
        return cls(**RunResource.model_validate(run).model_dump(by_alias=False), effects=told)


class RunList(Resource):
    runs: list[RunSummary]
    """Newest first."""
    next_cursor: str
    """Empty on the last page."""

    @classmethod
    def of(cls, page: Page[Run]) -> Self:
        return cls(
            runs=[RunSummary.model_validate(run) for run in page.entries],
            next_cursor=page.next_cursor,
        )


class FactResource(Resource):
    name: str
    value: Any
    source: str


class StepResource(Resource):
    path: str
    attempt: str
    kind: str
    at: datetime
    title: str
    rule: str
    facts: list[FactResource]
    agent: dict[str, Any]
    person: dict[str, Any]


class WhyResource(Resource):
    run: RunResource
    steps: list[StepResource]
    """In order of time."""

    @classmethod
    def of(cls, why: Why) -> Self:
        steps: Sequence[WhyStep] = why.steps
        return cls(
            run=RunResource.model_validate(why.run),
            steps=[StepResource.model_validate(step) for step in steps],
        )


class EntryResource(Resource):
    seq: int
    path: str
    attempt: str
    kind: str
    at: datetime
    body: dict[str, Any]

    @classmethod
    def of(cls, entry: Entry) -> Self:
        return cls.model_validate(entry)


class DecisionResource(Resource):
    outcome: str
    by: str
    at: datetime
    digest: str
    comment: str
    values: dict[str, Any]


class ItemResource(Resource):
    id: str
    version: int
    kind: Literal["approval", "input", "auth", "incident"]
    state: ItemStateName
    run_id: str
    workflow: str
    path: str
    attempt: str
    title: str
    summary: list[FactResource]
    reason: str
    proposal: dict[str, Any]
    digest: str
    """Of the proposal; send it with the decision."""
    outcomes: list[str]
    form: dict[str, Any]
    candidates: list[str]
    excluded: list[str]
    origin: dict[str, Any]
    created_at: datetime
    decide_by: datetime | None
    decision: DecisionResource | None


class ItemList(Resource):
    items: list[ItemResource]
    """Newest first."""
    next_cursor: str
    """Empty on the last page."""

    @classmethod
    def of(cls, page: Page[WorkItem]) -> Self:
        return cls(
            items=[ItemResource.model_validate(item) for item in page.entries],
            next_cursor=page.next_cursor,
        )


class AgentSkill(Resource):
    id: str
    version: str
    name: str
    tags: list[str]
    effect: str
    idempotent: bool


class LoadResource(Resource):
    """As this coordinator sees it, since its start."""

    breaker: Literal["closed", "open", "half-open"]
    """open: left alone after failures in a row. half-open: the next call decides."""
    in_flight: int
    """Calls under way."""
    waiting: int
    """Steps that wait for one of these to end."""
    limit: int
    """Calls at once."""


class AgentResource(Resource):
    name: str
    version: str
    url: str
    health: str
    registered_at: datetime
    lease_until: datetime
    card_digest: str
    skills: list[AgentSkill]
    dedupes: bool
    streaming: bool
    signed: str
    """`verified`, `unverified` or `unsigned`: what the registry's enrolled keys say about its card."""
    signed_by: str
    """Id of the key."""
    unverified: str
    """Why it is."""


class AgentInUse(AgentResource):
    load: LoadResource


class AgentList(Resource):
    agents: list[AgentInUse]

    @classmethod
    def of(cls, agents: Sequence[Agent], load: Callable[[str], Load]) -> Self:
        return cls(
            agents=[
                AgentInUse(
                    **AgentResource.model_validate(agent).model_dump(by_alias=False),
                    load=LoadResource.model_validate(load(agent.name)),
                )
                for agent in agents
            ]
        )


class CallResource(Resource):
    seq: int
    at: datetime
    """When it was about to be asked."""
    by: str
    operation: str
    """Named as in JSON-RPC of A2A 1.0."""
    task_id: str
    """Empty if no task is known."""
    outcome: str
    """`answered`, or the code of what went wrong; empty: it is under way, or nobody knows."""


class CallList(Resource):
    calls: list[CallResource]
    """Newest first."""
    next: int | None
    """What to pass as `before` for older ones; null if there are none."""

    @classmethod
    def of(cls, acts: Sequence[Act], *, limit: int) -> Self:
        """Args: acts: one more than `limit` if older ones follow."""
        shown = acts[:limit]
        return cls(
            calls=[CallResource.model_validate(each) for each in shown],
            next=shown[-1].seq if len(acts) > limit else None,
        )


class ScheduleResource(Resource):
    workflow: str
    version: str
    kind: Literal["every", "cron", "after", "on"]
    schedule: Annotated[dict[str, Any], Field(validation_alias="json")]
    """As the document says it."""
    since: datetime
    due: datetime | None
    """null while only events, or the end of the last run, can tell."""
    last_at: datetime | None
    last_run: str | None
    problem: str | None
    """Why the last start failed; null if it did not."""
    problem_at: datetime | None


class ScheduleList(Resource):
    schedules: list[ScheduleResource]
    """By workflow."""

    @classmethod
    def of(cls, found: Sequence[Any]) -> Self:
        return cls(schedules=[ScheduleResource.model_validate(each) for each in found])


class Problem(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    """Stable; what a program should look at."""


class TakenResource(Resource):
    accepted: int
    duplicates: int
    """Came before, with the same content."""


class EventResource(Resource):
    seq: int
    received_at: datetime
    received_from: str
    """Who sent it, or `run:ID`."""
    event: dict[str, Any]
    """A CloudEvent in JSON."""


class EventList(Resource):
    events: list[EventResource]
    """Oldest first."""
    next: int
    """`after` for the events that follow."""

    @classmethod
    def of(cls, logged: Sequence[Any], *, after: int) -> Self:
        found = [EventResource.model_validate(each) for each in logged]
        return cls(events=found, next=found[-1].seq if found else after)
