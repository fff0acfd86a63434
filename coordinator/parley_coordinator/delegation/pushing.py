"""Asking an agent to tell when a task goes on, so that nobody has to look (A2A 1.0 3.1.7, 4.3; ADR-0017).

The journal of a place has a row for each webhook that was made for its task::

    push.N     its id, the task, and the hash of the token; durable before the agent hears of it
    pushing.N  the agent has taken it

The token itself is nowhere but with the agent. What is posted is a hint to look at the task, so a push
that is lost costs time only: the run looks by itself, too, if less often.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from parley_cards.errors import ParleyError
from parley_wire.addresses import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from parley_cards.card import Card
    from parley_wire.client import AgentClient

    from parley_coordinator.model import Entry, Place
    from parley_coordinator.store.log import RunLog

logger = logging.getLogger(__name__)

PUSH: Final = "push"
PATH: Final = "/v1/push"
REGISTER_S: Final = 5.0
"""So long is an agent asked to take a webhook before that is given up."""
MAX_WEBHOOKS: Final = 2
"""For one task: the second one if it is not known whether the agent has taken the first."""
RARELY: Final = (timedelta(seconds=10), timedelta(minutes=2))
"""The shortest and the longest time between two looks at a task of which pushes are to come."""
_ID: Final = re.compile(r"([0-9A-Za-z-]{1,64})\.[0-9a-f]{16}")


class Webhooks:
    """Makes webhooks for tasks that run long.

    Args:
        public_url: Of this coordinator.
        new_token: Makes secrets.
    """

    def __init__(self, public_url: str, *, new_token: Callable[[], str]) -> None:
        self._public_url = public_url.rstrip("/")
        self._new_token = new_token

    async def register(self, client: AgentClient, card: Card, log: RunLog, place: Place) -> bool:
        """Have the agent tell about the task of a place; False if it will not, or cannot be told.

        Never fails: what does not work is left to the next look at the task.
        """
        task = log.task_at(place)
        if task is None or not self._reachable_by(card):
            return False
        made = webhooks_at(log, place)
        ours = [row for row in made if row.body["task"] == task]
        if any(log.recall(place, _taken(row)) for row in ours):
            return True
        if len(ours) >= MAX_WEBHOOKS:
            return False
        number = len(made) + 1
        token = self._new_token()
        webhook = f"{log.run_id}.{_hash(f'{place.path}|{place.attempt}|{number}')[:16]}"
        body = {"id": webhook, "task": task, "hash": _hash(token)}
        row = await log.append(place, _kind(number), body, exclusive=True)
        config = {
            "taskId": task,
            "id": webhook.rpartition(".")[2],
            "url": f"{self._public_url}{PATH}/{webhook}",
            "token": token,
        }
        try:
            async with asyncio.timeout(REGISTER_S):
                await client.create_push_config(config)
        except (ParleyError, TimeoutError) as exc:
            logger.info("%s takes no webhook: %s", card.name[:80], str(exc) or "no answer in time")
            return False
        log.append_soon(place, _taken(row), {})
        return True

    def _reachable_by(self, card: Card) -> bool:
        """Whether the agent says that it pushes, and is where it can reach this coordinator."""
        if card.json["capabilities"].get("pushNotifications") is not True:
            return False
        return not _is_loopback(self._public_url) or _is_loopback(card.interfaces[0].url)


def rarely(pause: timedelta) -> timedelta:
    """Return when to look again at a task of which pushes are to come."""
    shortest, longest = RARELY
    return min(max(pause * 2, shortest), longest)


def webhooks_at(log: RunLog, place: Place) -> list[Entry]:
    """Return the rows of the webhooks that were made for a place, oldest first."""
    found: list[Entry] = []
    while (row := log.recall(place, _kind(len(found) + 1))) is not None:
        found.append(row)
    return found


def run_of(webhook: str) -> str | None:
    """Return the run for which a webhook with this id was made; None if it is no such id."""
    match = _ID.fullmatch(webhook)
    return None if match is None else match[1]


def row_of(webhook: str, rows: Iterable[Entry]) -> Entry | None:
    """Return the row in which a webhook was made."""
    return next((row for row in rows if row.body["id"] == webhook), None)


def hash_of(token: str) -> str:
    return _hash(token)


def _kind(number: int) -> str:
    return PUSH if number == 1 else f"{PUSH}.{number}"


def _taken(row: Entry) -> str:
    return row.kind.replace(PUSH, "pushing", 1)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _is_loopback(url: str) -> bool:
    host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    return host.endswith(".localhost") or is_loopback(host)
