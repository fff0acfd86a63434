"""What the worker that sends notifications needs of whoever keeps them.

A task server keeps its outbox beside its log (`push_rows`), a coordinator beside its runs; both are
emptied by the same worker, `push_sender` (ADR-0024).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from parley_wire.server.texts import timestamp

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from parley_wire.server.push_params import PushConfig


class Webhook(NamedTuple):
    """One configuration of one task."""

    task_id: str
    config_id: str
    caller: str
    """Who made it."""


class Due(NamedTuple):
    """A webhook for which there is something to send."""

    webhook: Webhook
    at: str
    """RFC 3339 in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What one webhook is to be sent next."""

    config: PushConfig
    body: bytes
    """The JSON of an A2A StreamResponse."""
    seq: int
    """What has arrived when this has; the same in every attempt."""
    attempts: int
    """Failed ones in a row, of any notification."""
    failing_since: str
    """RFC 3339 in UTC; empty: the last attempt went well."""


class Outbox(Protocol):
    """What is still to be sent. Whatever returns is durable."""

    async def due(self, limit: int, *, busy: Collection[str]) -> Sequence[Due]:
        """Return what is due, the longest first, and then what will be.

        Args:
            limit: How many at most.
            busy: Callers whose webhooks are left out.
        """
        ...

    async def delivery(self, webhook: Webhook) -> Delivery | None:
        """Return what a webhook is to be sent; None: nothing, or somebody else sends it."""
        ...

    def check(self) -> None:
        """Return if what `delivery` has returned may still be sent by this process."""
        ...

    async def sent(self, webhook: Webhook, seq: int, now: str) -> None:
        """Record that everything up to `seq` has arrived."""
        ...

    async def failed(self, webhook: Webhook, due_at: str | None, now: str, why: str) -> None:
        """Record that a delivery failed; `due_at`: when to try again, None: never."""
        ...


class Configs(Protocol):
    """The configurations of callers; a caller sees no task and no configuration but its own."""

    async def create(self, task_id: str, config: PushConfig, caller: str, now: str) -> None:
        """Tell `config` what happens to a task from now on.

        Raises:
            TaskNotFoundError: If the caller has no such task.
            InvalidParamsError: If it has too many already.
        """
        ...

    async def get(self, task_id: str, config_id: str, caller: str) -> PushConfig:
        """Raises: TaskNotFoundError."""
        ...

    async def page(
        self, task_id: str, caller: str, *, after: str = "", limit: int = 1
    ) -> list[PushConfig]:
        """Return the configurations of a task in the order of their ids, those behind `after`.

        Raises:
            TaskNotFoundError: If the caller has no such task.
        """
        ...

    async def remove(self, task_id: str, config_id: str, caller: str) -> None:
        """Forget a webhook; one that there is not is none the less forgotten.

        Raises:
            TaskNotFoundError: If the caller has no such task.
        """
        ...


def later(at: str, seconds: float) -> str:
    return timestamp(datetime.fromisoformat(at) + timedelta(seconds=seconds))
