"""Talking to the registry. The only module of this package that others import.

What a call can end in: `UnknownAgentError`, `NameTakenError`, `InvalidCardError` and
`CardUnreachableError` are the registry's own findings; `RegistryUnavailableError` may be tried again;
`RegistryAuthError`, `RegistryRefusedError` and `RegistryAnswerError` will not change by themselves.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from typing import Any, Final, NoReturn

import httpx
from parley_cards.card import MAX_CARD_BYTES, Card, load_card
from parley_cards.errors import ParleyError
from parley_wire.showing import shown_url

from parley_registry.answers import MAX_ANSWER_BYTES, json_of, record_of, refusal
from parley_registry.errors import (
    CardUnreachableError,
    NameTakenError,
    RegistryAnswerError,
    RegistryAuthError,
    RegistryError,
    RegistryRefusedError,
    RegistryUnavailableError,
    UnknownAgentError,
)
from parley_registry.records import AgentRecord, Health, SkillRecord

__all__ = [
    "AgentRecord",
    "CardUnreachableError",
    "Health",
    "NameTakenError",
    "RegistryAnswerError",
    "RegistryAuthError",
    "RegistryClient",
    "RegistryError",
    "RegistryRefusedError",
    "RegistryUnavailableError",
    "SkillRecord",
    "UnknownAgentError",
    "keep_registered",
]

MAX_PAGES: Final = 100
CALL_TIMEOUT_S: Final = 10.0
REGISTER_TIMEOUT_S: Final = 20.0
"""The registry itself may take 10 s to fetch the card."""
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0

_log = logging.getLogger(__name__)


class RegistryClient:
    """One registry.

    Args:
        url: Of the registry, without /v1.
        http: Stays the caller's to close.
    """

    def __init__(self, url: str, http: httpx.AsyncClient, *, token: str | None = None) -> None:
        self._base = url.rstrip("/") + "/v1/agents"
        self._where = shown_url(url)
        self._http = http
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    async def register(self, agent_url: str, *, ttl_s: int = 30) -> AgentRecord:
        """Make the agent at `agent_url` (or whose card is there) known, and lease its name.

        Doing it again refreshes the card and the lease.
        """
        body = {"url": agent_url, "ttl_s": ttl_s}
        answer = await self._call("POST", "", json=body, timeout_s=REGISTER_TIMEOUT_S)
        return record_of(json_of(answer))

    async def renew(self, name: str, ttl_s: int = 30, *, url: str | None = None) -> None:
        """Extend the lease of an agent.

        Args:
            url: If given, only if the name still belongs to this address.

        Raises:
            UnknownAgentError: If the registry does not know the agent, or not at `url`.
        """
        body = {"ttl_s": ttl_s} | ({"url": url} if url is not None else {})
        await self._call("PUT", _path(name) + "/lease", json=body, agent=name)

    async def withdraw(self, name: str) -> None:
        """Take an agent out of the registry; harmless if it is not there."""
        try:
            await self._call("DELETE", _path(name), agent=name)
        except UnknownAgentError:
            return

    async def agents(
        self, *, skill: str | None = None, tag: str | None = None, health: str | None = None
    ) -> list[AgentRecord]:
        """Return every agent that fits, by name.

        Args:
            skill: Id of a skill that it must offer.
            tag: That this skill, or if none is given any skill, must carry.
            health: `up`, `unknown` or `down`.
        """
        given = {"skill": skill, "tag": tag, "health": health}
        query = {key: value for key, value in given.items() if value} | {"limit": "100"}
        found: list[AgentRecord] = []
        for _ in range(MAX_PAGES):
            page = json_of(await self._call("GET", "", query=query))
            if not isinstance(page, dict) or not isinstance(page.get("agents"), list):
                raise RegistryAnswerError("the registry answered without a list of agents")
            found.extend(map(record_of, page["agents"]))
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str) or not cursor:
                return found
            query["cursor"] = cursor
        raise RegistryAnswerError(f"the registry's list does not end after {MAX_PAGES} pages")

    async def agent(self, name: str) -> AgentRecord:
        """Return one agent.

        Raises:
            UnknownAgentError: If it is not registered.
        """
        answer = await self._call("GET", _path(name), agent=name)
        return record_of(json_of(answer))

    async def card(self, name: str, *, digest: str | None = None) -> Card:
        """Return an agent's card.

        Args:
            digest: An exact card, which the registry may still have after the agent changed or left.

        Raises:
            UnknownAgentError: If the registry has no such card.
            RegistryAnswerError: If it sent another one than was asked for.
        """
        raw = await self._call(
            "GET",
            _path(name) + "/card",
            query={"digest": digest} if digest else {},
            agent=name,
            max_bytes=MAX_CARD_BYTES,
        )
        card = load_card(raw)
        if digest and card.digest != digest:
            raise RegistryAnswerError("the registry sent another card than the one asked for")
        return card

    async def _call(
        self,
        method: str,
        path: str,
        *,
        json: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        agent: str = "",
        timeout_s: float = CALL_TIMEOUT_S,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> bytes:
        """Return the body of a 2xx answer; raise for every other."""
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._http.stream(
                    method, self._base + path, json=json, params=query, headers=self._headers
                ) as response,
            ):
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > max_bytes:
                        raise RegistryAnswerError(
                            f"the registry's answer is larger than {max_bytes} bytes"
                        )
        except TimeoutError as exc:
            raise RegistryUnavailableError(
                f"the registry did not answer within {timeout_s:g} s"
            ) from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise RegistryUnavailableError(
                f"the registry at {self._where} cannot be reached: {exc}"
            ) from exc
        if response.is_success:
            return bytes(body)
        raise refusal(response.status_code, bytes(body), agent)


async def keep_registered(registry: RegistryClient, agent_url: str, *, ttl_s: int = 30) -> NoReturn:
    """Keep an agent in the registry for as long as this runs; for use in a task group.

    Registers, with growing pauses until that works, and renews every third of `ttl_s`; registers
    again when the registry has forgotten the agent. Failures are logged, never raised: an agent goes
    on serving while the registry is away. Ending it does not withdraw the agent: its lease lapses.
    """
    while True:
        record = await _register(registry, agent_url, ttl_s)
        _log.info("registered as %s", record.name)
        await _renew(registry, record.name, agent_url, ttl_s)
        _log.warning("the registry no longer knows %s here; registering again", record.name)


async def _register(registry: RegistryClient, agent_url: str, ttl_s: int) -> AgentRecord:
    failures = 0
    while True:
        try:
            return await registry.register(agent_url, ttl_s=ttl_s)
        except ParleyError as exc:
            failures += 1
            # The first few are ordinary: the agent or the registry is only just starting.
            level = logging.WARNING if failures > 3 else logging.DEBUG
            _log.log(level, "cannot register %s: %s", agent_url, exc.message)
        await asyncio.sleep(_pause(failures))


async def _renew(registry: RegistryClient, name: str, agent_url: str, ttl_s: int) -> None:
    """Renew until the registry no longer knows the agent at this address."""
    failures = 0
    while True:
        await asyncio.sleep(ttl_s / 3 if not failures else min(ttl_s / 3, _pause(failures)))
        try:
            await registry.renew(name, ttl_s, url=agent_url)
            failures = 0
        except UnknownAgentError:
            return
        except ParleyError as exc:
            failures += 1
            _log.warning("cannot renew the lease of %s: %s", name, exc.message)


def _pause(failures: int) -> float:
    """Return seconds: doubling, capped, with jitter so that agents do not come back in step."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


def _path(name: str) -> str:
    """Return the path of an agent; what cannot be a name is not sent."""
    if not re.fullmatch(r"[a-z0-9-]{1,63}", name):
        raise UnknownAgentError(name)
    return f"/{name}"
