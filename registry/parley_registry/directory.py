"""What one can do with the registry: the use cases, over the store and the card fetcher."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, NoReturn, TypeAlias

from parley_cards.card import Card
from parley_cards.errors import ParleyError

from parley_registry.catalog import Probe, Standing, Timing, probe_due, slug
from parley_registry.records import AgentRecord
from parley_registry.store import Query, Store

FetchCard: TypeAlias = Callable[[str], Awaitable[Card]]
"""Fetch and validate the card behind an address, within a bounded time and size.

Raises a ParleyError whose message says why it could not.
"""

PROBES_AT_ONCE: Final = 8

_log = logging.getLogger(__name__)


class Directory:
    """The agents of the mesh: joining, staying, leaving, finding."""

    def __init__(
        self,
        store: Store,
        fetch: FetchCard,
        *,
        now: Callable[[], datetime],
        timing: Timing,
    ) -> None:
        self._store = store
        self._fetch = fetch
        self._now = now
        self._timing = timing

    async def register(self, url: str, *, ttl_s: int) -> tuple[AgentRecord, bool]:
        """Fetch the card at `url` and lease its name.

        Returns:
            The record, and whether this address did not hold the name before.

        Raises:
            CardUnreachableError: If no card can be fetched.
            InvalidCardError: If what was fetched is not a valid card.
            NameTakenError: If another agent that is not down has the name.
        """
        card = await self._fetch(url)
        now = self._now()
        return await self._store.put(
            slug(card.name), url, card, now=now, lease_until=now + timedelta(seconds=ttl_s)
        )

    async def renew(self, name: str, *, ttl_s: int, url: str | None = None) -> AgentRecord:
        now = self._now()
        return await self._store.renew(
            name, url=url, now=now, lease_until=now + timedelta(seconds=ttl_s)
        )

    async def withdraw(self, name: str) -> None:
        await self._store.withdraw(name)

    async def get(self, name: str) -> AgentRecord:
        return await self._store.get(name, now=self._now())

    async def find(self, query: Query) -> tuple[list[AgentRecord], str]:
        return await self._store.find(query, now=self._now())

    async def card(self, name: str, digest: str | None) -> tuple[bytes, str]:
        return await self._store.card(name, digest)

    async def probe_lapsed(self) -> int:
        """Look at every agent whose lease and grace are over; return how many were looked at."""
        now = self._now()
        lapsed = await self._store.lapsed(now - self._timing.grace)
        due = [each for each in lapsed if probe_due(each[1], now=now, timing=self._timing)]
        gate = asyncio.Semaphore(PROBES_AT_ONCE)

        async def one(name: str, standing: Standing) -> None:
            async with gate:
                await self._probe(name, standing)

        async with asyncio.TaskGroup() as group:
            for name, standing in due:
                group.create_task(one(name, standing))
        return len(due)

    async def _probe(self, name: str, standing: Standing) -> None:
        card: Card | None = None
        try:
            card = await self._fetch(standing.url)
            found = slug(card.name)
            problem = "" if found == name else f"another agent answers there: {found}"
        except ParleyError as exc:
            problem = exc.message
        if problem and (standing.probe is None or not standing.probe.problem):
            _log.warning("agent %s at %s is down: %s", name, standing.url, problem)
        await self._store.note_probe(
            name,
            standing.url,
            Probe(at=self._now(), problem=problem),
            card=None if problem else card,
        )


async def probe_for_ever(directory: Directory, *, every: timedelta) -> NoReturn:
    """Probe lapsed agents again and again; one failing round does not end it."""
    while True:
        try:
            await directory.probe_lapsed()
        except Exception:  # noqa: BLE001 - the edge of a background task
            _log.exception("a round of probes failed; the next one follows")
        await asyncio.sleep(every.total_seconds())
