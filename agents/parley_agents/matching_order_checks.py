"""The checks of the three-way match against the order and its receipts.

Quantities and amounts are cumulative: what earlier invoices billed counts. As in matching_checks.py
a check that has nothing to compare raises `NotComparableError`. Nothing here does I/O.
"""

from __future__ import annotations

from decimal import Decimal

from parley_agents.amounts import written
from parley_agents.matching_evidence import Case, Evidence, NotComparableError, total


def order(case: Case, evidence: Evidence) -> None:
    """There is an open order of this supplier, in this currency, that agrees with itself."""
    invoice, record = case.invoice, case.request.order
    evidence.saw("order named by the invoice", invoice.order_number, case.request.invoice)
    if record is None:
        named = invoice.order_number
        evidence.wrong(f"there is no order {named}" if named else "the invoice names no order")
        return
    found = record.data
    evidence.saw("order", found.number, record)
    evidence.same("the order named by the invoice", invoice.order_number, found.number)
    evidence.saw("state of the order", found.state, record)
    evidence.same(f"the state of order {found.number}", found.state, "open")
    evidence.saw("supplier of the invoice", invoice.supplier_id, case.request.invoice)
    evidence.saw("supplier of the order", found.supplier_id, record)
    evidence.same("the supplier of the invoice", invoice.supplier_id, found.supplier_id)
    evidence.saw("currency of the invoice", invoice.currency, case.request.invoice)
    evidence.saw("currency of the order", found.currency, record)
    evidence.same("the currency of the invoice", invoice.currency, found.currency)
    for line in found.lines:
        worth = line.quantity * line.unit_price
        evidence.saw(f"order line {line.id}: amount", line.amount, record)
        evidence.saw(f"order line {line.id}: quantity times unit price", worth, record)
        evidence.within(
            f"the amount of order line {line.id}",
            line.amount,
            worth,
            case.policy.tolerances.rounding,
        )


def item(case: Case, evidence: Evidence) -> None:
    """Each line bills an order line: the item and unit that were ordered. Descriptions may differ."""
    invoice, ids = case.request.invoice, [line.id for line in case.order.lines]
    if len(set(ids)) != len(ids):
        raise NotComparableError("two lines of the order have the same number")
    for line, ordered in case.pairs:
        name = f"line {line.id}"
        evidence.saw(f"{name}: order line", line.order_line_id, invoice)
        if line.order_number is not None and line.order_number != case.order.number:
            evidence.wrong(f"{name} is of order {line.order_number}, not {case.order.number}")
        if ordered is None:
            evidence.wrong(f"{name} ({line.description}) bills no line of the order")
            continue
        if ordered.item_id is not None:
            evidence.saw(f"{name}: item", line.item_id, invoice)
            evidence.saw(f"order line {ordered.id}: item", ordered.item_id, case.request.order)
            evidence.same(f"the item of {name}", line.item_id, ordered.item_id)
        if ordered.unit is not None:
            evidence.saw(f"{name}: unit", line.unit, invoice)
            evidence.saw(f"order line {ordered.id}: unit", ordered.unit, case.request.order)
            evidence.same(f"the unit of {name}", line.unit, ordered.unit)
        evidence.done()


def receipt(case: Case, evidence: Evidence) -> None:
    """No more is invoiced than was received."""
    received = case.received()
    for ordered, quantity, _ in case.billed():
        arrived, name = received.get(ordered.id, Decimal(0)), f"order line {ordered.id}"
        evidence.saw(f"{name}: quantity on this invoice", quantity, case.request.invoice)
        evidence.saw(f"{name}: invoiced before", ordered.invoiced_quantity, case.request.order)
        evidence.saw(f"{name}: received", arrived, case.request.receipts)
        evidence.within(
            f"the invoiced quantity of {name}",
            ordered.invoiced_quantity + quantity,
            arrived,
            case.policy.tolerances.receipt,
        )


def order_quantity(case: Case, evidence: Evidence) -> None:
    """No more is invoiced than was ordered."""
    for ordered, quantity, _ in case.billed():
        name = f"order line {ordered.id}"
        evidence.saw(f"{name}: quantity on this invoice", quantity, case.request.invoice)
        evidence.saw(f"{name}: invoiced before", ordered.invoiced_quantity, case.request.order)
        evidence.saw(f"{name}: ordered", ordered.quantity, case.request.order)
        evidence.within(
            f"the invoiced quantity of {name}",
            ordered.invoiced_quantity + quantity,
            ordered.quantity,
            case.policy.tolerances.order_quantity,
        )


def unit_price(case: Case, evidence: Evidence) -> None:
    for line, ordered in case.pairs:
        if ordered is None:
            raise NotComparableError(f"line {line.id} bills no line of the order")
        evidence.saw(f"line {line.id}: unit price", line.unit_price, case.request.invoice)
        evidence.saw(f"order line {ordered.id}: unit price", ordered.unit_price, case.request.order)
        evidence.within(
            f"the unit price of line {line.id}",
            line.unit_price,
            ordered.unit_price,
            case.policy.tolerances.unit_price,
        )


def line_amount(case: Case, evidence: Evidence) -> None:
    """No order line is billed for more than it is worth."""
    for ordered, _, amount in case.billed():
        name = f"order line {ordered.id}"
        evidence.saw(f"{name}: amount on this invoice", amount, case.request.invoice)
        evidence.saw(f"{name}: invoiced before", ordered.invoiced_amount, case.request.order)
        evidence.saw(f"{name}: amount", ordered.amount, case.request.order)
        evidence.within(
            f"the invoiced amount of {name}",
            ordered.invoiced_amount + amount,
            ordered.amount,
            case.policy.tolerances.line_amount,
        )


def order_total(case: Case, evidence: Evidence) -> None:
    """The order is not billed for more than it is worth, and what is to be paid is the gross."""
    totals, lines = case.invoice.totals, case.order.lines
    before = total(line.invoiced_amount for line in lines)
    worth = total(line.amount for line in lines)
    evidence.saw("net", totals.net, case.request.invoice)
    evidence.saw("order: invoiced before", before, case.request.order)
    evidence.saw("order: amount of all lines", worth, case.request.order)
    evidence.within(
        "the invoiced amount of the order",
        before + totals.net,
        worth,
        case.policy.tolerances.total,
    )
    evidence.saw("gross", totals.gross, case.request.invoice)
    evidence.saw("payable", totals.payable, case.request.invoice)
    if totals.payable != totals.gross:
        evidence.wrong(f"{written(totals.payable)} is to be paid, gross is {written(totals.gross)}")


def tax(case: Case, evidence: Evidence) -> None:
    """The tax is that of the order's rates."""
    expected = Decimal(0)
    for line, ordered in case.pairs:
        if ordered is None or ordered.tax_percent is None:
            raise NotComparableError(f"the order has no tax rate for line {line.id}")
        evidence.saw(f"line {line.id}: tax percent", line.tax_percent, case.request.invoice)
        evidence.saw(
            f"order line {ordered.id}: tax percent", ordered.tax_percent, case.request.order
        )
        if line.tax_percent != ordered.tax_percent:
            rate = "none" if line.tax_percent is None else f"{written(line.tax_percent)} %"
            evidence.wrong(
                f"the tax rate of line {line.id} is {rate},"
                f" of the order {written(ordered.tax_percent)} %"
            )
        evidence.done()
        expected += line.amount * ordered.tax_percent / 100
    evidence.saw("tax", case.invoice.totals.tax, case.request.invoice)
    evidence.saw("tax at the rates of the order", expected, case.request.order)
    evidence.within("the tax", case.invoice.totals.tax, expected, case.policy.tolerances.tax)
