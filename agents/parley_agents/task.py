"""What a skill knows about the task that it works on."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeAlias

from parley_cards.canonical import digest
from parley_cards.card import Card
from parley_cards.delegation import Ancestor, DelegationContract
from parley_wire.server.outcomes import TaskRequest

from parley_agents.delegation import Delegated

Clock: TypeAlias = Callable[[], datetime]

_PURPOSE: Final = re.compile(r"[a-z][a-z-]{0,39}")


class SkillTask:
    """One run of one task; the kit makes it."""

    def __init__(
        self, request: TaskRequest, delegation: DelegationContract, card: Card, now: Clock
    ) -> None:
        self._request = request
        here = Ancestor(name=card.name, url=card.interfaces[0].url, run=request.task_id)
        self.delegation = Delegated(delegation, here, key=self.key, now=now)
        """The contract under which it is done: limits, and on whose behalf."""

    @property
    def deadline(self) -> datetime | None:
        """UTC. The skill is stopped then."""
        return self.delegation.contract.deadline

    @property
    def caller(self) -> str:
        """Who sent it, as the mesh token says."""
        return self._request.caller

    @property
    def answers(self) -> list[Any]:
        """To the questions asked so far, oldest first; other people's JSON, not yet checked."""
        return self._request.answers

    async def tell(self, text: str) -> None:
        """Tell the caller how it goes."""
        await self._request.update(text)

    def key(self, purpose: str) -> str:
        """Return the idempotency key of one effect of this task.

        The same in every run of the task; different for each caller, purpose, and key of the
        contract: a caller that tries one effect over several messages gives them one key. Without
        a key each message has its own.

        Args:
            purpose: Which effect, if the task has several: a word in small letters.
        """
        if not _PURPOSE.fullmatch(purpose):
            raise ValueError(f"{purpose!r} is not a word in small letters")
        given = self.delegation.contract.idempotency_key
        asked = digest([self._request.caller, given or self._request.message_id])
        return f"{purpose}:{asked.removeprefix('sha256:')}"
