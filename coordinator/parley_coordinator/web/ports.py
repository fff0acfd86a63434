"""What the faces need of the rest of the coordinator.

`parley_coordinator.engine` and `parley_coordinator.inbox` implement the first two, the registry's
client the third; `parley_coordinator.app` plugs them in. Permissions are checked behind the ports,
except where a method takes no principal.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from parley_coordinator.governance.access import Principal
    from parley_coordinator.model import Entry, ItemState, Page, Run, RunState, Why, WorkItem


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
    ) -> tuple[Run, bool]:
        """Start a run, durably, once for each `key` of this principal.

        Returns:
            The run, and whether this call created it: False when the same request came before.

        Raises:
            UnknownWorkflowError, InvalidInputError, NotPermittedError
            IdempotencyConflictError: If the key was used for another request.
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
        limit: int = 50,
        cursor: str = "",
    ) -> Page[Run]:
        """Return the runs that the principal may see, newest first."""
        ...

    async def cancel(self, principal: Principal, run_id: str, reason: str) -> Run:
        """Raises RunFinishedError for a run that has ended."""
        ...

    async def why(self, principal: Principal, run_id: str) -> Why: ...

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

    def documents(self) -> Sequence[Document]: ...

    def document(self, name: str) -> Document:
        """Raises UnknownWorkflowError."""
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
    ) -> WorkItem:
        """Decide an item; the first decision wins.

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


class Agents(Protocol):
    """The registry."""

    async def agents(
        self, *, skill: str | None = None, tag: str | None = None, health: str | None = None
    ) -> Sequence[Agent]: ...
