"""What a skill knows of the contract under which it works, and how it passes work on.

Source: docs/delegation-extension.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from parley_cards.card import Card
from parley_cards.delegation import (
    MAX_DEPTH,
    NO_BUDGET,
    Ancestor,
    Budget,
    DelegationContract,
    Spent,
)


class Delegated:
    """The contract of one task, and what the skill has used up of it.

    Args:
        contract: As the caller sent it.
        here: This agent and this task, as those below see it.
        key: Makes the idempotency key of one purpose.
        now: The clock.
    """

    def __init__(
        self,
        contract: DelegationContract,
        here: Ancestor,
        *,
        key: Callable[[str], str],
        now: Callable[[], datetime],
    ) -> None:
        self.contract = contract
        self.spent = Spent()
        """What is told to the caller beside the result."""
        self._here = here
        self._key = key
        self._now = now

    @property
    def remaining(self) -> timedelta | None:
        """The time until the deadline; None without one."""
        deadline = self.contract.deadline
        return None if deadline is None else max(timedelta(0), deadline - self._now())

    @property
    def budget(self) -> Budget:
        """What is left."""
        return self.contract.budget.less(self.spent)

    def narrowed(
        self,
        purpose: str,
        *,
        to: Card | None = None,
        deadline: datetime | None = None,
        budget: Budget = NO_BUDGET,
        max_depth: int = MAX_DEPTH,
    ) -> DelegationContract:
        """Return the contract of a call that the skill is about to make, and count the call.

        Send it as `metadata[DELEGATION]` of the message, with the skill that is addressed:
        `{"skill": ..., **contract.as_json()}`.

        Args:
            purpose: Which call, in a word in small letters: the same call has the same key in every
                run of the task.
            to: The card of who is called, to find out before anything is sent that it is above.
            deadline, budget: Tighter limits; looser ones change nothing.

        Raises:
            DelegationError: If the call must not be made. Raised by a skill it ends the task as
                FAILED, with its code.
        """
        self.contract.check_deadline(self._now())
        key = self._key(purpose)
        passed = self.contract.narrowed(
            by=self._here,
            idempotency_key=key,
            span=hashlib.sha256(key.encode()).hexdigest()[:16] if self.contract.traceparent else "",
            deadline=deadline,
            budget=budget,
            spent=self.spent,
        )
        if to is not None:
            passed.check_chain(to.name, [each.url for each in to.interfaces], max_depth=max_depth)
        self.spent = self.spent.plus(Spent(calls=1))
        return passed

    def spend(self, spent: Spent) -> None:
        """Count what the skill has used up: its own cost, or what somebody below has reported."""
        self.spent = self.spent.plus(spent)
