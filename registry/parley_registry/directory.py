"""What one can do with the registry: the use cases, over the store and the card fetcher."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NoReturn, TypeAlias

from parley_cards import strict_json
from parley_cards.card import MAX_CARD_BYTES, Card
from parley_cards.errors import ParleyError

from parley_registry.catalog import Probe, Standing, Timing, probe_due, slug
from parley_registry.errors import UnknownAgentError
from parley_registry.records import AgentRecord
from parley_registry.signatures import Judgement, Signatures
from parley_registry.store import Query, Store

FetchCard: TypeAlias = Callable[[str], Awaitable[Card]]
"""Fetch and validate the card behind an address, within a bounded time and size.

Raises a ParleyError whose message says why it could not.
"""

PROBES_AT_ONCE: Final = 8

_log = logging.getLogger(__name__)


class Directory:
    """The agents of the mesh: joining, staying, leaving, finding.

    Args:
        signatures: Which cards are taken; by default all but those that an enrolled key denies.
    """

    def __init__(
        self,
        store: Store,
        fetch: FetchCard,
        *,
        now: Callable[[], datetime],
        timing: Timing,
        signatures: Signatures | None = None,
    ) -> None:
        self._store = store
        self._fetch = fetch
        self._signatures = signatures or Signatures()
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
            InvalidCardSignatureError, MissingCardSignatureError: If it is not signed as it must be.
        """
        card = await self._admitted(url)
        now = self._now()
        record, created = await self._store.put(
            slug(card.name), url, card, now=now, lease_until=now + timedelta(seconds=ttl_s)
        )
        return await self._told(record), created

    async def renew(self, name: str, *, ttl_s: int, url: str | None = None) -> AgentRecord:
        """Extend a lease.

        Raises:
            UnknownAgentError: If the agent is not registered, or not at `url`.
            InvalidCardSignatureError, MissingCardSignatureError: If its card would not be taken any
                more: a key was enrolled, has ended, or signatures are required now.
        """
        now = self._now()
        held = await self._store.get(name, now=now)
        (await self._judgement(name, held.card_digest)).admitted()
        record = await self._store.renew(
            name, url=url, now=now, lease_until=now + timedelta(seconds=ttl_s)
        )
        return await self._told(record)

    async def withdraw(self, name: str) -> None:
        await self._store.withdraw(name)

    async def get(self, name: str) -> AgentRecord:
        return await self._told(await self._store.get(name, now=self._now()))

    async def find(self, query: Query) -> tuple[list[AgentRecord], str]:
        found, last = await self._store.find(query, now=self._now())
        return [await self._told(record) for record in found], last

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
            card = await self._admitted(standing.url)
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

    async def _admitted(self, url: str) -> Card:
        card = await self._fetch(url)
        self._signatures.judge(card.digest, card.json, now=self._now()).admitted()
        return card

    async def _judgement(self, name: str, digest: str) -> Judgement:
        """Raises: UnknownAgentError, if the card is gone meanwhile."""
        now = self._now()
        found = self._signatures.remembered(digest, now=now)
        if found is None:
            raw, _ = await self._store.card(name, digest)
            card = strict_json.loads(raw, max_bytes=MAX_CARD_BYTES)
            found = self._signatures.judge(digest, card, now=now)
        return found

    async def _told(self, record: AgentRecord) -> AgentRecord:
        """Return the record with what is known of the signatures of its card."""
        try:
            found = (await self._judgement(record.name, record.card_digest)).signature
        except UnknownAgentError:  # it was withdrawn just now
            return record
        return replace(
            record, signed=found.state.value, signed_by=found.key_id, unverified=found.reason
        )


async def probe_for_ever(directory: Directory, *, every: timedelta) -> NoReturn:
    """Probe lapsed agents again and again; one failing round does not end it."""
    while True:
        try:
            await directory.probe_lapsed()
        except Exception:  # noqa: BLE001 - the edge of a background task
            _log.exception("a round of probes failed; the next one follows")
        await asyncio.sleep(every.total_seconds())
