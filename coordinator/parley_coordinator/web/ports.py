"""What the faces need of the rest of the coordinator.

`parley_coordinator.engine` and `parley_coordinator.inbox` implement the first three, the registry's
client the last; `parley_coordinator.app` plugs them in. Permissions are checked behind the ports,
except where a method takes no principal.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from parley_cards.delegation import DelegationContract

    from parley_coordinator.governance.access import Principal
    from parley_coordinator.model import (
        DeployedDocument,
        Deployment,
        Effect,
        Entry,
        ItemState,
        MessageRef,
        Page,
        Phase,
        Repair,
        Run,
        RunState,
        Thread,
        Versions,
        Why,
        WorkItem,
    )


class Document(Protocol):
    """A workflow document that may run."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def digest(self) -> str:
        """`sha256:` of the canonical form."""
        ...

    @property
    def json(self) -> dict[str, Any]: ...
    @property
    def input_schema(self) -> Any:
        """JSON Schema of a run's input; None or `{}`: anything goes."""
        ...

    @property
    def output_schema(self) -> Any:
        """JSON Schema of a run's output; None or `{}`: not promised."""
        ...


class Runs(Protocol):
    """Runs of workflows."""

    async def start(
        self,
        principal: Principal,
        workflow: str,
        input: Any,  # noqa: A002 - the word of the API
        *,
        key: str | None = None,
        context_id: str | None = None,
        version: str | None = None,
        contract: DelegationContract = ...,
        message_id: str = "",
    ) -> tuple[Run, bool]:
        """Start a run, durably, once for each `key` of this principal.

        Args:
            version: Of the workflow; the current one if it is None.
            contract: Under which the work was passed on; no limits if left out.
            message_id: Of the A2A message that asks for it.

        Returns:
            The run, and whether this call created it: False when the same request came before.

        Raises:
            UnknownWorkflowError, UnknownVersionError, VersionDeprecatedError,
            InvalidInputError, NotPermittedError
            IdempotencyConflictError: If the key was used for another request.
            DelegationError: If the contract does not let it begin.
        """
        ...

    async def get(self, principal: Principal, run_id: str) -> Run:
        """Raises UnknownRunError also for a run that the principal may not see."""
        ...

    async def list(
        self,
        principal: Principal,
        *,
        workflow: str | None = None,
        state: RunState | None = None,
        context_id: str | None = None,
        stuck: bool = False,
        limit: int = 50,
        cursor: str = "",
    ) -> Page[Run]:
        """Return the runs that the principal may see, newest first.

        Args:
            stuck: Only those under way that do not get on without somebody.
        """
        ...

    async def thread(self, principal: Principal, run_id: str) -> Thread:
        """Return a run with what was said in it, all of one moment.

        Raises UnknownRunError also for a run that the principal may not see.
        """
        ...

    async def tasks(
        self,
        principal: Principal,
        *,
        workflow: str,
        phase: Phase | None = None,
        context_id: str | None = None,
        changed_since: datetime | None = None,
        limit: int = 50,
        cursor: str = "",
    ) -> tuple[Page[Thread], int]:
        """Return runs that the principal may see, last changed first, and how many there are in all."""
        ...

    async def cancel(self, principal: Principal, run_id: str, reason: str) -> Run:
        """Raises RunFinishedError for a run that has ended."""
        ...

    async def aftermath(self, principal: Principal, run_id: str) -> Sequence[Effect]:
        """Return what a run has done or begun elsewhere, in the order in which it began."""
        ...

    async def why(self, principal: Principal, run_id: str) -> Why: ...

    async def artifact(self, principal: Principal, digest: str) -> str:
        """Return the JSON of a large output.

        Raises:
            UnknownArtifactError: If there is none, or the caller may see no run that has it.
        """
        ...

    async def lifecycle(self, principal: Principal, run_id: str) -> Sequence[dict[str, Any]]:
        """Return what happened in a run as CloudEvents, oldest first."""
        ...

    async def journal(self, principal: Principal, run_id: str, after: int = 0) -> Sequence[Entry]:
        """Return the rows with `seq > after`, oldest first."""
        ...

    async def wait(self, run_id: str, *, after_seq: int, timeout_s: float) -> bool:
        """Wait for journal rows beyond `after_seq`; False if none came in time.

        May return True for nothing, and at best does so when the run's state changes.
        """
        ...

    async def wait_for_state(self, seen: Run, *, timeout_s: float) -> bool:
        """Wait until the run has parked, gone on or ended since it was seen.

        May return True for nothing; False after `timeout_s`.
        """
        ...


class Repairs(Protocol):
    """Runs that go on for others."""

    async def repair(self, principal: Principal, run_id: str, repair: Repair) -> Run:
        """Have a new run go on for one that ended without success, and return it.

        Raises:
            NotPermittedError, UnknownRunError, RunFinishedError, NotRepairableError,
            UnknownStepError, InvalidRequestError, InvalidInputError, WouldRunAgainError,
            InvalidWorkflowError
        """
        ...


class Finding(Protocol):
    """Why a document must not run."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...
    @property
    def path(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def fix(self) -> str: ...


class Checked(Protocol):
    """The answer to the question whether a text may be deployed."""

    @property
    def findings(self) -> Sequence[Finding]: ...
    @property
    def name(self) -> str | None: ...
    @property
    def version(self) -> str | None: ...
    @property
    def digest(self) -> str | None: ...


class Workflows(Protocol):
    """The workflows that are deployed, in all their versions."""

    async def documents(self) -> Sequence[Document]:
        """Return the current version of each, by name; who may see them is not checked."""
        ...

    async def document(self, name: str, version: str | None = None) -> Document:
        """Return the current version, or another; who may see it is not checked.

        Raises:
            UnknownWorkflowError, UnknownVersionError
        """
        ...

    async def overview(self) -> Sequence[Versions]:
        """Return each as it is deployed, by name; who may see it is not checked."""
        ...

    async def check(self, principal: Principal, raw: bytes, source: str) -> Checked:
        """Say what keeps a text from being deployed.

        Raises:
            NotPermittedError, ChecksBusyError
            ParleyError: If the registry cannot be asked.
        """
        ...

    async def deploy(
        self, principal: Principal, raw: bytes, source: str
    ) -> tuple[Deployment, bool]:
        """Make a text the current version of its workflow; no effect if it is deployed already.

        Returns:
            The version, and whether it is new.

        Raises:
            NotPermittedError, InvalidWorkflowError, VersionTakenError, ChecksBusyError
            ParleyError: If the registry cannot be asked.
        """
        ...

    async def versions(self, principal: Principal, name: str) -> Versions:
        """Raises NotPermittedError, UnknownWorkflowError."""
        ...

    async def version(self, principal: Principal, name: str, version: str) -> DeployedDocument:
        """Raises NotPermittedError, UnknownWorkflowError, UnknownVersionError."""
        ...

    async def diff(
        self, principal: Principal, name: str, one: str, other: str | None = None
    ) -> str:
        """Return the unified diff of the texts, from `one` to `other`, by default the current.

        Raises:
            NotPermittedError, UnknownWorkflowError, UnknownVersionError, ChecksBusyError
        """
        ...

    async def deprecate(self, principal: Principal, name: str, version: str) -> Deployment:
        """Let no new run start on a version.

        Raises:
            NotPermittedError, UnknownWorkflowError, UnknownVersionError, CurrentVersionError
        """
        ...

    async def roll_back(
        self, principal: Principal, name: str, version: str | None = None
    ) -> Deployment:
        """Make another version current: a named one, or the previous one.

        Raises:
            NotPermittedError, UnknownWorkflowError, UnknownVersionError, VersionDeprecatedError,
            NoPreviousVersionError
        """
        ...


class Inbox(Protocol):
    """Questions to people."""

    async def list(
        self,
        principal: Principal,
        *,
        state: ItemState | None = ...,
        run_id: str | None = None,
        limit: int = 50,
        cursor: str = "",
    ) -> Page[WorkItem]:
        """Return the items that the principal may see, newest first."""
        ...

    async def get(self, principal: Principal, item_id: str) -> WorkItem:
        """Raises UnknownItemError also for an item that the principal may not see."""
        ...

    async def decide(
        self,
        principal: Principal,
        item_id: str,
        *,
        outcome: str,
        digest: str,
        comment: str = "",
        values: dict[str, Any] | None = None,
        message: MessageRef | None = None,
    ) -> WorkItem:
        """Decide an item; the first decision wins.

        Args:
            message: The A2A message that brings it.

        Raises:
            UnknownItemError, NotPermittedError, NotEligibleError, InvalidDecisionError,
            StaleDigestError, AlreadyDecidedError, ItemClosedError
        """
        ...


class SkillOfAgent(Protocol):
    """A skill as the registry lists it."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def tags(self) -> Sequence[str]: ...
    @property
    def effect(self) -> str: ...
    @property
    def idempotent(self) -> bool: ...


class Agent(Protocol):
    """An agent as the registry lists it."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def health(self) -> str: ...
    @property
    def registered_at(self) -> datetime: ...
    @property
    def lease_until(self) -> datetime: ...
    @property
    def card_digest(self) -> str: ...
    @property
    def skills(self) -> Sequence[SkillOfAgent]: ...
    @property
    def dedupes(self) -> bool: ...
    @property
    def streaming(self) -> bool: ...
    @property
    def signed(self) -> str: ...
    @property
    def signed_by(self) -> str: ...
    @property
    def unverified(self) -> str: ...


class Load(Protocol):
    """How it stands with an agent now, as this coordinator sees it; in memory only."""

    @property
    def breaker(self) -> str:
        """`closed`, `open` or `half-open`."""
        ...

    @property
    def in_flight(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def limit(self) -> int: ...


class Agents(Protocol):
    """The registry, and what this coordinator knows of its agents."""

    def load(self, name: str) -> Load: ...

    async def agents(
        self, *, skill: str | None = None, tag: str | None = None, health: str | None = None
    ) -> Sequence[Agent]: ...
