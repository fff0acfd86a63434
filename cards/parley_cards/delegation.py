"""The delegation contract: what travels with work that one party gives to another. Pure.

How long it may take, what it may use up, on whose behalf it is done, which trace it belongs to, and
the key under which its effects happen once. Whoever passes work on may narrow it and never widens it.

::

    DelegationError
    ├── InvalidDelegationError   400 invalid_delegation
    ├── DeadlineExceededError    504 deadline_exceeded
    ├── BudgetExhaustedError     403 budget_exhausted
    ├── DelegationCycleError     422 delegation_cycle
    └── DelegationTooDeepError   422 delegation_too_deep

Source: docs/delegation-extension.md; A2A 1.0 section 4.6; W3C Trace Context 1.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final, TypeVar

from parley_cards.errors import Kind, ParleyError
from parley_cards.extensions import DELEGATION
from parley_cards.findings import Finding

T = TypeVar("T", int, datetime)

MAX_ANCESTORS: Final = 64
"""What a contract can hold; a receiver usually allows fewer."""
MAX_DEPTH: Final = 16
"""How many are above a call at most, unless a setting says otherwise."""
TRACEPARENT: Final = "traceparent"
"""The header of W3C Trace Context, and the member of the contract that stands for it."""
_TRACE: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class DelegationError(ParleyError):
    """Work that must not be done, or not be passed on, by its contract."""


class InvalidDelegationError(DelegationError):
    """The contract is there and is not of its form."""

    code: ClassVar[str] = "invalid_delegation"
    kind: ClassVar[Kind] = Kind.INVALID

    def __init__(self, findings: Sequence[Finding]) -> None:
        path, problem = findings[0]
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        self.reason = f"{path or 'it'} {problem}{more}"
        super().__init__(f"the metadata {DELEGATION} is not valid: {self.reason}")


class DeadlineExceededError(DelegationError):
    """Its time has passed."""

    code: ClassVar[str] = "deadline_exceeded"
    kind: ClassVar[Kind] = Kind.TIMEOUT


class BudgetExhaustedError(DelegationError):
    """Nothing is left of what it may use up."""

    code: ClassVar[str] = "budget_exhausted"
    kind: ClassVar[Kind] = Kind.FORBIDDEN


class DelegationCycleError(DelegationError):
    """Whoever would get the work has given it, directly or through others."""

    code: ClassVar[str] = "delegation_cycle"
    kind: ClassVar[Kind] = Kind.UNSUPPORTED


class DelegationTooDeepError(DelegationError):
    """Too many have passed it on."""

    code: ClassVar[str] = "delegation_too_deep"
    kind: ClassVar[Kind] = Kind.UNSUPPORTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """One who passed the work on."""

    name: str
    """Of its card, or of its workflow."""
    url: str = ""
    """Of one interface of its card; what it is recognised by. Empty: by its name."""
    run: str = ""
    """The task or run in which it did so."""

    def is_at(self, name: str, urls: Collection[str]) -> bool:
        """Whether the agent with this name and these interfaces is this one."""
        return self.url in urls if self.url else self.name == name

    def as_json(self) -> dict[str, Any]:
        optional = {"url": self.url, "run": self.run}
        return {"name": self.name, **{key: value for key, value in optional.items() if value}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may still be used up. None: no limit."""

    calls: int | None = None
    """Of agents, by whoever does the work and everybody below."""
    cost: Decimal | None = None
    unit: str = ""
    """Of `cost`, e.g. `EUR`; of no meaning without it."""

    def less(self, spent: Spent) -> Budget:
        """Return what is left; nothing becomes less than nothing.

        Cost in another unit is not counted: nobody knows the rate.
        """
        calls = None if self.calls is None else max(0, self.calls - spent.calls)
        cost = self.cost
        if cost is not None and spent.unit == self.unit:
            cost = max(Decimal(0), cost - spent.cost)
        return replace(self, calls=calls, cost=cost)

    def narrowed(self, other: Budget) -> Budget:
        """Return what both allow; of costs in two units, this one's."""
        cost, unit = self.cost, self.unit
        if cost is None:
            cost, unit = other.cost, other.unit
        elif other.cost is not None and other.unit == unit:
            cost = min(cost, other.cost)
        return Budget(calls=_least(self.calls, other.calls), cost=cost, unit=unit)

    @property
    def exhausted(self) -> str:
        """What of it is used up, in words; empty: nothing."""
        if self.calls == 0:
            return "no calls are left"
        if self.cost is not None and self.cost <= 0:
            return f"nothing is left of the cost in {self.unit}"
        return ""

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {} if self.calls is None else {"calls": self.calls}
        if self.cost is not None:
            body["cost"] = {"amount": _plain(self.cost), "unit": self.unit}
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What has been used up."""

    calls: int = 0
    cost: Decimal = Decimal(0)
    unit: str = ""

    def plus(self, other: Spent) -> Spent:
        """Return the sum; cost in another unit than the first one that was named is left out."""
        unit = self.unit or other.unit
        same = other.cost if other.unit == unit else Decimal(0)
        return Spent(calls=self.calls + other.calls, cost=self.cost + same, unit=unit)

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"calls": self.calls} if self.calls else {}
        if self.cost:
            body["cost"] = {"amount": _plain(self.cost), "unit": self.unit}
        return body


NO_BUDGET: Final = Budget()


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationContract:
    """The contract of one piece of work. What is missing sets no limit."""

    deadline: datetime | None = None
    """UTC."""
    budget: Budget = NO_BUDGET
    ancestors: tuple[Ancestor, ...] = ()
    """Who is above whoever gets the work, outermost first; the last one is the caller."""
    traceparent: str = ""
    idempotency_key: str = ""

    @property
    def trace_id(self) -> str:
        """The 32 hexadecimal digits that all spans of one trace share; empty without a trace."""
        return self.traceparent[3:35]

    def check_deadline(self, now: datetime) -> None:
        """Raise DeadlineExceededError if there is no time left."""
        if self.deadline is not None and now >= self.deadline:
            raise DeadlineExceededError(
                f"the deadline {written(self.deadline)} has passed; nothing was begun"
            )

    def check_chain(self, name: str, urls: Collection[str], *, max_depth: int = MAX_DEPTH) -> None:
        """Let the agent with this name and these interfaces get the work.

        Raises:
            DelegationCycleError: If it is one of the ancestors.
            DelegationTooDeepError: If there are more than `max_depth` of them.
        """
        if any(each.is_at(name, urls) for each in self.ancestors):
            chain = " > ".join(each.name[:80] for each in (*self.ancestors, Ancestor(name=name)))
            raise DelegationCycleError(f"{name[:80]} has passed this work on itself: {chain}")
        if len(self.ancestors) > max_depth:
            raise DelegationTooDeepError(
                f"the work was passed on {len(self.ancestors)} times, at most {max_depth} are allowed"
            )

    def narrowed(
        self,
        *,
        by: Ancestor,
        idempotency_key: str,
        span: str = "",
        deadline: datetime | None = None,
        budget: Budget = NO_BUDGET,
        spent: Spent = Spent(),
    ) -> DelegationContract:
        """Return the contract of work that `by` passes on, one call of its budget taken.

        Args:
            span: Of the new call, 16 hexadecimal digits; empty: the one of the caller.
            deadline, budget: Tighter limits; looser ones change nothing.
            spent: What has been used up before this call.

        Raises:
            BudgetExhaustedError: If nothing is left for this call.
        """
        left = self.budget.less(spent).narrowed(budget)
        if left.exhausted:
            raise BudgetExhaustedError(f"the budget of this work is used up: {left.exhausted}")
        return DelegationContract(
            deadline=_least(self.deadline, deadline),
            budget=left.less(Spent(calls=1)),
            ancestors=(*self.ancestors, by),
            traceparent=traceparent(self.trace_id, span) if span else self.traceparent,
            idempotency_key=idempotency_key,
        )

    def as_json(self) -> dict[str, Any]:
        """The members of the metadata, without those that are empty."""
        members = {
            "deadline": written(self.deadline) if self.deadline is not None else "",
            "budget": self.budget.as_json(),
            "ancestors": [each.as_json() for each in self.ancestors],
            TRACEPARENT: self.traceparent,
            "idempotencyKey": self.idempotency_key,
        }
        return {name: value for name, value in members.items() if value}


UNLIMITED: Final = DelegationContract()


def traceparent(trace_id: str, span_id: str) -> str:
    """Write the header of W3C Trace Context, sampled."""
    return f"00-{trace_id}-{span_id}-01"


def is_traceparent(text: str) -> bool:
    return _TRACE.fullmatch(text) is not None


def written(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds; what is left of a millisecond is cut off."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(amount: Decimal) -> str:
    return f"{amount:f}"


def _least(one: T | None, other: T | None) -> T | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
