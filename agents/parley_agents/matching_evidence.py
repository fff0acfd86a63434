"""The values that the checks of the three-way match look at, and what they find wrong.

Nothing here does I/O. All arithmetic is exact: amounts have at most 30 digits (amounts.py), and the
checks run with a precision that holds every sum and product of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, ROUND_UP, Decimal
from functools import cached_property
from typing import Final, TypeVar

from parley_agents.amounts import written
from parley_agents.matching_contract import Comparison, MatchRequest
from parley_agents.matching_policy import Limit, Policy, Tolerance
from parley_agents.records import Invoice, InvoiceLine, Order, OrderLine, Record

CENT: Final = Decimal("0.01")
MAX_COMPARED: Final = 60
"""Comparisons kept of one check; the values that failed are always among them."""

T = TypeVar("T")


class NotComparableError(Exception):
    """A check has nothing to compare with; the message says why. Such a check has not passed."""


@dataclass(frozen=True)
class Case:
    """One invoice to decide on, and the policy to decide by."""

    request: MatchRequest
    policy: Policy

    @property
    def invoice(self) -> Invoice:
        return self.request.invoice.data

    @property
    def order(self) -> Order:
        """Raises: NotComparableError: If there is none."""
        return self.required(self.request.order, "there is no order")

    @staticmethod
    def required(record: Record[T] | None, problem: str) -> T:
        if record is None:
            raise NotComparableError(problem)
        return record.data

    @cached_property
    def pairs(self) -> list[tuple[InvoiceLine, OrderLine | None]]:
        """Each invoice line with the order line that it bills, in the order of the invoice.

        The line that the supplier names; without such a name, the only order line of that item.
        """
        lines = self.order.lines
        by_id = {line.id: line for line in lines}
        found: list[tuple[InvoiceLine, OrderLine | None]] = []
        for line in self.invoice.lines:
            if line.order_line_id is not None:
                found.append((line, by_id.get(line.order_line_id)))
                continue
            same = [each for each in lines if line.item_id and each.item_id == line.item_id]
            found.append((line, same[0] if len(same) == 1 else None))
        return found

    def billed(self) -> Iterator[tuple[OrderLine, Decimal, Decimal]]:
        """Yield each billed order line with its quantity and amount on this invoice, summed.

        Raises:
            NotComparableError: If an invoice line bills no order line.
        """
        lines: dict[str, tuple[OrderLine, Decimal, Decimal]] = {}
        for line, ordered in self.pairs:
            if ordered is None:
                raise NotComparableError(f"line {line.id} bills no line of the order")
            _, quantity, amount = lines.get(ordered.id, (ordered, Decimal(0), Decimal(0)))
            lines[ordered.id] = (ordered, quantity + line.quantity, amount + line.amount)
        yield from lines.values()

    def received(self) -> dict[str, Decimal]:
        """Return the received quantity by order line.

        Raises:
            NotComparableError: If there are no receipts to read, or one is of another order.
        """
        receipts = self.required(self.request.receipts, "the receipts are not known")
        total: dict[str, Decimal] = {}
        for receipt in receipts:
            if receipt.order_number != self.order.number:
                raise NotComparableError(f"a receipt is of order {receipt.order_number}")
            total[receipt.order_line_id] = (
                total.get(receipt.order_line_id, Decimal(0)) + receipt.quantity
            )
        return total


@dataclass
class Evidence:
    """What one check compared, and what it found wrong."""

    case: Case
    compared: list[Comparison] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _failing: list[Comparison] = field(default_factory=list)
    _batch: list[Comparison] = field(default_factory=list)

    def saw(self, name: str, value: Decimal | str | None, record: Record[T] | None) -> None:
        """Note a value and the record that it is from; None: the invoice says there is nothing."""
        source = (record or self.case.request.invoice).source
        self._note(name, value, source)

    def limit(self, name: str, value: Decimal | str) -> None:
        """Note a value of the policy."""
        policy = self.case.policy
        self._note(name, value, f"policy:{policy.name}/{policy.version}")

    def wrong(self, problem: str) -> None:
        """Note a problem with the values seen since the last one."""
        self.problems.append(problem)
        self._failing.extend(self._batch)
        self._batch = []

    def done(self) -> None:
        """Say that the values seen since the last problem are as they should be."""
        self._batch = []

    def same(self, what: str, actual: str | None, expected: str) -> None:
        """Note a problem unless the two are equal. Both must have been seen."""
        if actual == expected:
            self.done()
        else:
            self.wrong(f"{what} is {actual or 'missing'}, not {expected}")

    def within(self, what: str, actual: Decimal, expected: Decimal, tolerance: Tolerance) -> None:
        """Note a problem if `actual` is farther from `expected` than the policy tolerates."""
        problem = excess(actual, expected, tolerance)
        if problem:
            self.wrong(f"{what} is {problem}")
        else:
            self.done()

    def shown(self) -> list[Comparison]:
        """Return what was compared; of very long invoices, the failing values first."""
        if len(self.compared) <= MAX_COMPARED:
            return self.compared
        failing = {id(each) for each in self._failing}
        others = (each for each in self.compared if id(each) not in failing)
        return [*self._failing, *others][:MAX_COMPARED]

    def _note(self, name: str, value: Decimal | str | None, source: str) -> None:
        text = written(value) if isinstance(value, Decimal) else value or "none"
        comparison = Comparison(name=name, value=text, source=source)
        self.compared.append(comparison)
        self._batch.append(comparison)


def excess(actual: Decimal, expected: Decimal, tolerance: Tolerance) -> str:
    """Say how `actual` leaves the tolerance around `expected`; empty if it does not.

    Percentages are of `expected`; where it is zero, only equality is within a percentage. Where
    both limits of a side are set, leaving either is leaving the tolerance.
    """
    gap = actual - expected
    side: Limit | str = tolerance.over if gap > 0 else tolerance.under
    if gap == 0 or not isinstance(side, Limit):
        return ""
    size = abs(gap)
    too_much = side.amount is not None and size > side.amount
    too_far = side.percent is not None and size * 100 > side.percent * abs(expected)
    if not (too_much or too_far):
        return ""
    # Rounded up, so that an excess never reads as the limit itself.
    share = (
        f" ({written((size * 100 / abs(expected)).quantize(CENT, ROUND_UP))} %)" if expected else ""
    )
    allowed = [
        *([f"{written(side.percent)} %"] if side.percent is not None else []),
        *([written(side.amount)] if side.amount is not None else []),
    ]
    return (
        f"{written(actual)}, {written(size)}{share} {'above' if gap > 0 else 'below'}"
        f" {written(expected)}; {' and '.join(allowed)} allowed"
    )


def total(values: Iterable[Decimal]) -> Decimal:
    return sum(values, Decimal(0))


def variance(case: Case) -> Decimal:
    """Return what the invoice asks, net, beyond order prices for what was received and is unbilled.

    Without an order that is everything.
    """
    asked = total(line.amount for line in case.invoice.lines)
    try:
        received, billed = case.received(), [*case.billed()]
    except NotComparableError:
        return asked.quantize(CENT, ROUND_HALF_UP)
    due = Decimal(0)
    for ordered, quantity, _ in billed:
        unbilled = max(Decimal(0), received.get(ordered.id, Decimal(0)) - ordered.invoiced_quantity)
        due += min(quantity, unbilled) * ordered.unit_price
    return (asked - due).quantize(CENT, ROUND_HALF_UP)
