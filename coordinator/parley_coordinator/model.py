"""Runs, work items and explanations as values.

Nothing here reads a clock, a database or a socket. Words: a *run* is one execution of a workflow
document; a *work item* is one question to people (WS-HumanTask); the *journal* is the append-only
record that a run resumes from and that `why` is read from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection

T = TypeVar("T")


class RunState(StrEnum):
    """Where a run stands, in words of the workflow DSL's status phases."""

    RUNNING = "running"
    WAITING = "waiting"
    """Parked: for a person, an agent or a time. `Run.waiting_for` says which."""
    COMPLETED = "completed"
    FAULTED = "faulted"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in (RunState.COMPLETED, RunState.FAULTED, RunState.CANCELLED)


class ItemKind(StrEnum):
    APPROVAL = "approval"
    """The workflow asks whether something may be done."""
    INPUT = "input"
    """An agent asks for something that it needs (TASK_STATE_INPUT_REQUIRED)."""
    AUTH = "auth"
    """An agent needs an authorization, given out of band (TASK_STATE_AUTH_REQUIRED)."""
    INCIDENT = "incident"
    """The outcome of an effect is not known and no rule says what to do."""


class ItemState(StrEnum):
    READY = "ready"
    DECIDED = "decided"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"

    @property
    def final(self) -> bool:
        return self is not ItemState.READY


def is_within(path: str, block: str) -> bool:
    """Tell whether a JSON pointer is another one, or below it; everything is within the empty one."""
    return path == block or path.startswith(f"{block}/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in a workflow document and which visit of it this is."""

    path: str
    """JSON pointer with task names, e.g. `/do/1/gather/fork/branches/0/order`. Empty: the run."""
    attempt: str = "1"
    """Ordinals of the enclosing repetitions, outermost first: `.2` is the second attempt of a `try`
    with retries, `~2` the second visit of a task that the flow came back to, `#2` the second
    iteration of a loop: `1`, `1.2`, `1~2.1`, `1#2`."""

    def holds(self, attempt: str) -> bool:
        """Tell whether an attempt is this one, or one within it."""
        rest = attempt.removeprefix(self.attempt)
        return rest == "" or (rest != attempt and rest[0] in ".~#")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the journal."""

    run_id: str
    seq: int
    """Order within the run; 1-based, no gaps are promised."""
    path: str
    attempt: str
    kind: str
    at: datetime
    """UTC."""
    body: dict[str, Any]

    @property
    def place(self) -> Place:
        return Place(path=self.path, attempt=self.attempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One reason why a branch of a run can't go on."""

    kind: str
    """`item`, `agent`, `timer`, `event` or `run`; `engine` when the run could not be advanced and is
    tried again."""
    path: str
    since: datetime
    until: datetime | None
    """UTC. When to look again whatever happens; None: only a person's decision helps."""
    subject: str = ""
    """The item's id, the agent's name, or the id of the run."""

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "kind": self.kind,
            "path": self.path,
            "since": self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
        }
        if self.subject:
            body[self.kind] = self.subject
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The run and the task that started a run."""

    run: str
    path: str
    attempt: str
    waits: bool
    """It waits for the outcome."""

    def as_json(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "path": self.path,
            "attempt": self.attempt,
            "waits": self.waits,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a workflow document."""

    id: str
    workflow: str
    version: str
    digest: str
    """Of the pinned document, `sha256:...`."""
    state: RunState
    input: Any
    output: Any
    """None until the run is completed."""
    error: dict[str, Any] | None
    """`{type, status, title, detail, instance}` of a faulted run."""
    waiting_for: list[dict[str, Any]]
    """While parked: `{kind: item|agent|timer|event|run, path, since, until, item?, agent?, run?}`, one per branch."""
    requested_by: str
    created_at: datetime
    updated_at: datetime
    context_id: str = ""
    """The A2A context that the caller put the run in; empty: the run is its own."""
    parent: Parent | None = None
    depth: int = 0
    """How many runs are above it."""

    @classmethod
    def starting(  # noqa: PLR0913 - what a run is from the first moment on
        cls,
        *,
        id: str,  # noqa: A002 - the name of the field
        workflow: str,
        version: str,
        digest: str,
        input: Any,  # noqa: A002 - the name of the field
        requested_by: str,
        at: datetime,
        context_id: str,
        parent: Parent | None = None,
        depth: int = 0,
    ) -> Run:
        """Return a run that has done nothing yet."""
        return cls(
            id=id,
            workflow=workflow,
            version=version,
            digest=digest,
            state=RunState.RUNNING,
            input=input,
            output=None,
            error=None,
            waiting_for=[],
            requested_by=requested_by,
            created_at=at,
            updated_at=at,
            context_id=context_id,
            parent=parent,
            depth=depth,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """A run as a conversation: what has been said and done in it so far."""

    run: Run
    seq: int
    """Of the last row of its journal."""
    items: RunItems
    message_id: str = ""
    """Of the A2A message that began it; empty if none did."""


class Phase(StrEnum):
    """What a run is doing, for who waits for it."""

    WORKING = "working"
    ASKING = "asking"
    """It waits for people, at least one of them for more than an authorization."""
    AUTHORIZING = "authorizing"
    """It waits for authorizations that are given elsewhere."""
    COMPLETED = "completed"
    FAULTED = "faulted"
    CANCELLED = "cancelled"


def phase(run: Run, open_kinds: Collection[ItemKind]) -> Phase:
    """Say what a run is doing; `open_kinds` of the items that nobody has decided yet."""
    if run.state.final:
        return Phase(str(run.state))
    if run.state is not RunState.WAITING or not open_kinds:
        return Phase.WORKING
    if all(kind is ItemKind.AUTH for kind in open_kinds):
        return Phase.AUTHORIZING
    return Phase.ASKING


class Nothing:
    """Stands for a value that was not given, where null is one."""


NOTHING: Final = Nothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What an operator wants done about a run that ended without success."""

    act: Literal["retry", "skip"]
    reason: str
    step: str | None = None
    """JSON pointer, or the name of a task if only one has it; None: where the run stopped."""
    arguments: dict[str, Any] | None = None
    """For `retry`: with what the agent is called, instead of what the document computes."""
    output: Any = NOTHING
    """For `skip`: the raw output of the step; left out, what goes in comes out."""
    input: Any = NOTHING
    """Start over with this input."""
    again: bool = False
    """Repeat what had an effect, or may have had one."""


class EffectState(StrEnum):
    DONE = "done"
    """It was finished, and nothing has undone it."""
    CANCELLED = "cancelled"
    """Whoever had begun it has stopped."""
    RUNNING = "running"
    """It could not be stopped, or nobody knows: it may be running."""
    UNKNOWN = "unknown"
    """It has failed in a way that leaves it open whether it was done."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """What came of calling something back."""

    outcome: str
    """The state of its task, or in words why nobody knows it."""
    settled: bool
    """Asking once more would change nothing: it has ended, has not begun, or cannot be called back."""
    elsewhere: bool = False
    """Another coordinator may be able to; this one has not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a run has done, or begun, at somebody else."""

    run_id: str
    """Of the run itself, or of one that it has started."""
    path: str
    attempt: str
    title: str
    agent: str
    """Or the host of a protocol call."""
    task: str
    """The agent's; empty: it has named none."""
    state: EffectState
    said: str
    """What came of it, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One value that somebody decides on, with where it comes from."""

    name: str
    value: Any
    source: str
    """`erp:ap.order.get/PO-1001`, `agent:matching`, `input`."""

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value, "source": self.source}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """One question to people, with everything needed to answer it."""

    id: str
    version: int
    kind: ItemKind
    state: ItemState
    run_id: str
    workflow: str
    path: str
    attempt: str
    title: str
    """One sentence from a template of the workflow, never from an agent."""
    summary: list[Fact]
    """In the order to be read."""
    reason: str
    """Why it reached a person: the rule, in words."""
    proposal: dict[str, Any]
    """What is decided, canonical: action, arguments, facts, what happens next."""
    digest: str
    """Of `proposal`; a decision must name it."""
    outcomes: list[str]
    form: dict[str, Any]
    """JSON Schema of `values`: flat, in the subset of MCP elicitation."""
    candidates: list[str]
    """Who may decide: `role:approver`, `user:ada`."""
    excluded: list[str]
    """Subjects who may not, whatever their roles: who requested or prepared it."""
    origin: dict[str, Any]
    """For an agent's question: `{agent, task, context}`. Empty for the workflow's own."""
    created_at: datetime
    decide_by: datetime | None
    decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class MessageRef:
    """One message of a sender."""

    id: str
    digest: str
    """Of the whole message: tells apart what was sent again from what uses its id for something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person decided, on exactly which proposal."""

    outcome: str
    by: str
    at: datetime
    digest: str
    comment: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    message: MessageRef | None = None
    """The A2A message that brought it, if one did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunItems:
    """The items of one run, as one person sees them."""

    visible: list[WorkItem]
    """Of every state, newest first; also those that the person decided and may no longer see."""
    hidden: list[ItemKind]
    """Kinds of the open ones that are for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyStep:
    """One line of an explanation, in the order in which things happened."""

    path: str
    attempt: str
    kind: str
    """`started, calling, called, agent_failed, failed, chose, asked, decided, expired, retried, caught, waited, set,
    emitted, heard, repaired, completed, faulted, cancelled`."""
    at: datetime
    title: str
    """One sentence."""
    rule: str = ""
    """Identifier of the rule that decided, if one did."""
    facts: list[Fact] = field(default_factory=list)
    """The compared values."""
    agent: dict[str, Any] = field(default_factory=dict)
    """`{name, version, url, card, skill, task, chosen}`: who did it, and why it was chosen."""
    person: dict[str, Any] = field(default_factory=dict)
    """`{subject, outcome, comment, digest, at}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why a run ended, or stands, as it does."""

    run: Run
    steps: list[WhyStep]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a longer list, newest first."""

    entries: list[T]
    next_cursor: str
    """Opaque; empty on the last page."""


class DeploymentState(StrEnum):
    ACTIVE = "active"
    DEPRECATED = "deprecated"
    """Runs under way go on; no new run starts on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One version of a workflow: for ever one document."""

    name: str
    version: str
    digest: str
    state: DeploymentState
    current: bool
    """New runs that name no version get this one."""
    deployed_by: str
    """A subject; `files` for what lay in the folder of workflows at a start."""
    deployed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentAct:
    """What somebody did to a version."""

    at: datetime
    by: str
    act: str
    """`deployed`, `rolled-back` or `deprecated`."""
    version: str
    from_version: str | None
    """The current version before; None if it was the first."""
    to_version: str
    """The current version after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """A workflow as it is deployed."""

    name: str
    deployments: list[Deployment]
    """Newest first; exactly one is current."""
    acts: list[DeploymentAct]
    """Oldest first."""

    @property
    def current(self) -> Deployment:
        return next(each for each in self.deployments if each.current)

    @property
    def previous(self) -> str | None:
        """The version that a roll-back which names none makes current, if there is one.

        The last one before the current that may still run, in the order in which they were
        deployed: rolling back twice goes back two versions.
        """
        newest_first = iter(self.deployments)
        for each in newest_first:
            if each.current:
                break
        active = DeploymentState.ACTIVE
        return next((each.version for each in newest_first if each.state is active), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedDocument:
    """A version with its content."""

    deployment: Deployment
    json: dict[str, Any]
    text: str
    """What was deployed, comments and all."""
