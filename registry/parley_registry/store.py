"""Agents by name in SQLite: the statements on the tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from parley_cards.card import Card
from parley_wire.database import Database
from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    delete,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from parley_registry.catalog import Probe, Standing, Timing, health, may_take_name
from parley_registry.errors import NameTakenError, UnknownAgentError
from parley_registry.records import AgentRecord, Health, SkillRecord, skill_records, timestamp
from parley_registry.tables import agent_tags, agents, cards

KEPT_CARDS: Final = 20
"""So many cards are kept for each name, newest first: runs may be pinned to an older one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which agents to list; empty or None does not restrict."""

    skill: str = ""
    tag: str = ""
    health: Health | None = None
    limit: int = 50
    after: str = ""
    """Only names that sort behind this one."""


class Store:
    """Agents by name. Every method is one transaction."""

    def __init__(self, database: Database, *, timing: Timing) -> None:
        self._database = database
        self._timing = timing

    async def put(
        self, name: str, url: str, card: Card, *, now: datetime, lease_until: datetime
    ) -> tuple[AgentRecord, bool]:
        """Register or refresh; atomic, so that two addresses cannot both take one name.

        Returns:
            The record, and whether the name was not held by this address before.

        Raises:
            NameTakenError: If another address holds the name and is not down.
        """

        def work(connection: Connection) -> tuple[AgentRecord, bool]:
            held = _by_name(connection, name)
            standing = _standing(held) if held is not None else None
            if not may_take_name(standing, url=url, now=now, timing=self._timing):
                raise NameTakenError(name, holder=held.url if held is not None else "")
            created = held is None or held.url != url
            registered_at = timestamp(now) if held is None or created else held.registered_at
            # The address is one agent's: under an earlier name of its card it is gone.
            connection.execute(
                delete(agents).where((agents.c.url == url) | (agents.c.name == name))
            )
            connection.execute(
                insert(agents).values(
                    name=name,
                    url=url,
                    registered_at=registered_at,
                    lease_until=timestamp(lease_until),
                    **_said(card),
                )
            )
            _index(connection, name, card, now)
            return self._record(_known(connection, name), now), created

        return await self._database.write(work)

    async def renew(
        self, name: str, *, url: str | None, now: datetime, lease_until: datetime
    ) -> AgentRecord:
        """Extend a lease.

        Args:
            url: If given, the agent must be registered at this address.

        Raises:
            UnknownAgentError: If it is not registered, or at another address.
        """

        def work(connection: Connection) -> AgentRecord:
            row = _known(connection, name)
            if url is not None and row.url != url:
                raise UnknownAgentError(name)
            connection.execute(
                update(agents)
                .where(agents.c.name == name)
                .values(lease_until=timestamp(lease_until), probed_at=None, probe_problem=None)
            )
            return self._record(_known(connection, name), now)

        return await self._database.write(work)

    async def withdraw(self, name: str) -> None:
        """Forget an agent; its cards stay.

        Raises:
            UnknownAgentError: If it is not registered.
        """

        def work(connection: Connection) -> None:
            if not connection.execute(delete(agents).where(agents.c.name == name)).rowcount:
                raise UnknownAgentError(name)

        await self._database.write(work)

    async def note_probe(
        self, name: str, url: str, probe: Probe, *, card: Card | None = None
    ) -> None:
        """Remember what a probe found; void if the name has changed hands meanwhile.

        Args:
            card: What the agent says now; replaces what it said before.
        """

        def work(connection: Connection) -> None:
            values: dict[str, Any] = {
                "probed_at": timestamp(probe.at),
                "probe_problem": probe.problem,
            }
            held = _by_name(connection, name)
            if held is None or held.url != url:
                return
            if card is not None and card.digest != held.card_digest:
                values |= _said(card)
                connection.execute(delete(agent_tags).where(agent_tags.c.agent == name))
                _index(connection, name, card, probe.at)
            connection.execute(update(agents).where(agents.c.name == name).values(**values))

        await self._database.write(work)

    async def get(self, name: str, *, now: datetime) -> AgentRecord:
        """Return one agent.

        Raises:
            UnknownAgentError: If it is not registered.
        """
        return await self._database.read(lambda c: self._record(_known(c, name), now))

    async def find(self, query: Query, *, now: datetime) -> tuple[list[AgentRecord], str]:
        """Return a page by name, and the last name on it if more follow, else an empty string."""

        def work(connection: Connection) -> tuple[list[AgentRecord], str]:
            found: list[AgentRecord] = []
            for row in connection.execute(_selection(query)):
                record = self._record(row, now)
                if query.health is not None and record.health is not query.health:
                    continue
                if len(found) == query.limit:
                    return found, found[-1].name
                found.append(record)
            return found, ""

        return await self._database.read(work)

    async def lapsed(self, before: datetime) -> list[tuple[str, Standing]]:
        """Return name and standing of every agent whose lease ended before that."""

        def work(connection: Connection) -> list[tuple[str, Standing]]:
            old = select(agents).where(agents.c.lease_until <= timestamp(before))
            return [(row.name, _standing(row)) for row in connection.execute(old)]

        return await self._database.read(work)

    async def card(self, name: str, digest: str | None) -> tuple[bytes, str]:
        """Return the raw bytes and the digest of an agent's card.

        Args:
            digest: One of the last cards under that name, also after it was withdrawn; None: the one
                of the registered agent.

        Raises:
            UnknownAgentError: If there is none.
        """

        def work(connection: Connection) -> tuple[bytes, str]:
            wanted = digest if digest is not None else _known(connection, name).card_digest
            raw: bytes | None = connection.execute(
                select(cards.c.raw).where(cards.c.agent == name, cards.c.digest == wanted)
            ).scalar_one_or_none()
            if raw is None:
                raise UnknownAgentError(name)
            return raw, wanted

        return await self._database.read(work)

    def _record(self, row: Row[Any], now: datetime) -> AgentRecord:
        standing = _standing(row)
        state = health(standing, now=now, timing=self._timing)
        problem = standing.probe.problem if standing.probe and state is Health.DOWN else ""
        return AgentRecord(
            name=row.name,
            version=row.version,
            url=row.url,
            health=state,
            registered_at=datetime.fromisoformat(row.registered_at),
            lease_until=standing.lease_until,
            card_digest=row.card_digest,
            skills=tuple(
                SkillRecord(**(skill | {"tags": tuple(skill["tags"])}))
                for skill in json.loads(row.skills)
            ),
            dedupes=row.dedupes,
            streaming=row.streaming,
            problem=problem,
        )


def _by_name(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(agents).where(agents.c.name == name)).one_or_none()


def _known(connection: Connection, name: str) -> Row[Any]:
    row = _by_name(connection, name)
    if row is None:
        raise UnknownAgentError(name)
    return row


def _standing(row: Row[Any]) -> Standing:
    probe = (
        Probe(at=datetime.fromisoformat(row.probed_at), problem=row.probe_problem or "")
        if row.probed_at is not None
        else None
    )
    return Standing(url=row.url, lease_until=datetime.fromisoformat(row.lease_until), probe=probe)


def _selection(query: Query) -> Select[Any]:
    chosen = select(agents).where(agents.c.name > query.after).order_by(agents.c.name)
    if query.skill or query.tag:
        offers = and_(agent_tags.c.agent == agents.c.name, agent_tags.c.tag == query.tag)
        if query.skill:
            offers = and_(offers, agent_tags.c.skill == query.skill)
        chosen = chosen.where(exists().where(offers))
    return chosen


def _said(card: Card) -> dict[str, Any]:
    """Return the columns that repeat what the card says."""
    return {
        "version": card.version,
        "card_digest": card.digest,
        "dedupes": card.dedupes,
        "streaming": card.streaming,
        "skills": json.dumps([skill.as_json() for skill in skill_records(card)]),
    }


def _index(connection: Connection, name: str, card: Card, now: datetime) -> None:
    connection.execute(insert(agent_tags), list(_tag_rows(name, card)))
    seen = upsert(cards).values(
        digest=card.digest, agent=name, raw=card.raw, seen_at=timestamp(now)
    )
    # The first bytes of a digest stay: others differ in layout only, and the ETag is the digest.
    connection.execute(
        seen.on_conflict_do_update(
            index_elements=[cards.c.digest, cards.c.agent], set_={"seen_at": timestamp(now)}
        )
    )
    kept = (
        select(cards.c.digest)
        .where(cards.c.agent == name)
        .order_by(cards.c.seen_at.desc(), cards.c.digest)
        .limit(KEPT_CARDS)
    )
    connection.execute(delete(cards).where(cards.c.agent == name, cards.c.digest.not_in(kept)))


def _tag_rows(name: str, card: Card) -> Iterator[dict[str, str]]:
    for skill in card.skills:
        for tag in {"", *skill.tags}:
            yield {"agent": name, "skill": skill.id, "tag": tag}
