"""What the ledger itself insists on, and what makes two invoices look like one. Pure.

Which variances a person must see is the matching agent's policy, not ours. These rules hold for
everybody, whatever was approved: a ledger that does not balance, or that pays an account nobody
put on file, is wrong for any reason anybody may give.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal

from parley_systems.amounts import amount_text
from parley_systems.ubl.model import Invoice, Kind

SAME_AMOUNT_DAYS: Final = 7
"""Two invoices of one supplier over one amount this close together may be one (inclusive)."""
_CENT: Final = Decimal("0.01")
_ZERO: Final = Decimal(0)
_LOOKALIKES: Final = str.maketrans("OIL", "011")
_NOT_ALPHANUMERIC: Final = re.compile(r"[\W_]+")
_LEADING_ZEROS: Final = re.compile(r"(?<!\d)0+(?=\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One reason why an invoice must not be posted."""

    code: str
    """`arithmetic, supplier_unknown, supplier_blocked, bank_account_not_on_file`."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceKey:
    """What tells two invoices apart, or does not."""

    id: str
    kind: Kind
    number: str
    seller: str
    """Supplier id, or what stands for an unknown one."""
    currency: str
    gross: Decimal
    issue_date: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    match: Literal["same-number", "same-amount"]
    explanation: str
    """One sentence."""


def number_key(number: str) -> str:
    """Return what is left of an invoice number when what people mistype is taken out.

    Case, spaces, punctuation and leading zeros of a group do not count; O is 0, I and L are 1.
    """
    bare = _LEADING_ZEROS.sub("", number.casefold().upper())
    return _LEADING_ZEROS.sub("", _NOT_ALPHANUMERIC.sub("", bare).translate(_LOOKALIKES))


def likeness(one: InvoiceKey, other: InvoiceKey) -> Likeness | None:
    """Return why `other` may be `one` again; None if nothing says so. Symmetric."""
    if one.kind is not other.kind or one.seller != other.seller or one.id == other.id:
        return None
    if number_key(one.number) == number_key(other.number):
        return Likeness(
            match="same-number",
            explanation=f"The same supplier's {other.kind} {other.number!r} of"
            f" {other.issue_date} has the same number.",
        )
    apart = abs((one.issue_date - other.issue_date).days)
    same_amount = one.currency == other.currency and one.gross == other.gross
    if same_amount and apart <= SAME_AMOUNT_DAYS:
        return Likeness(
            match="same-amount",
            explanation=f"The same supplier's {other.kind} {other.number!r} of"
            f" {other.issue_date} is over the same {amount_text(other.gross)} {other.currency},"
            f" {apart} days apart.",
        )
    return None


def posting_problems(
    invoice: Invoice, *, supplier_status: str | None, accounts_on_file: Iterable[str]
) -> list[Problem]:
    """Return every reason not to post, worst first; empty if it may be posted.

    Args:
        supplier_status: `active` or `blocked`; None if the supplier is unknown.
    """
    problems: list[Problem] = []
    if supplier_status is None:
        problems.append(
            Problem(
                code="supplier_unknown",
                message="The supplier is not in the master data; have it created first.",
            )
        )
    elif supplier_status != "active":
        problems.append(
            Problem(
                code="supplier_blocked",
                message="The supplier is blocked; have it released in the master data first.",
            )
        )
    on_file = frozenset(accounts_on_file)
    problems.extend(
        Problem(
            code="bank_account_not_on_file",
            message=f"The account {account} is not on file for this supplier; have it verified"
            " and entered in the master data first.",
        )
        for account in invoice.payee_accounts
        if account not in on_file
    )
    return [*problems, *arithmetic_problems(invoice)]


def arithmetic_problems(invoice: Invoice) -> list[Problem]:
    """Return where the stated numbers do not add up.

    Source:
        EN 16931-1, BR-CO-10 to BR-CO-17. The tax of a rate may be off by one cent, as rounding by
        line and rounding by total differ; all other sums are exact.
    """
    stated = invoice.totals
    line_sum = sum((line.amount for line in invoice.lines), _ZERO)
    allowances = sum((each.amount for each in invoice.charges if not each.is_charge), _ZERO)
    charges = sum((each.amount for each in invoice.charges if each.is_charge), _ZERO)
    tax_sum = sum((each.amount for each in invoice.taxes), _ZERO)
    checks = [
        ("the sum of the lines", stated.lines, line_sum),
        ("the sum of the allowances", stated.allowances, allowances),
        ("the sum of the charges", stated.charges, charges),
        ("the net total", stated.net, stated.lines - stated.allowances + stated.charges),
        ("the gross total", stated.gross, stated.net + stated.tax),
        ("the payable amount", stated.payable, stated.gross - stated.prepaid + stated.rounding),
    ]
    if invoice.taxes:
        checks.append(("the tax total", stated.tax, tax_sum))
    problems = [_unequal(what, said, is_) for what, said, is_ in checks if said != is_]
    for tax in invoice.taxes:
        if tax.percent is None:
            continue
        due = (tax.taxable * tax.percent / 100).quantize(_CENT, rounding=ROUND_HALF_UP)
        if abs(due - tax.amount) > _CENT:
            problems.append(_unequal(f"the tax at {tax.percent} %", tax.amount, due))
    return problems


def _unequal(what: str, stated: Decimal, computed: Decimal) -> Problem:
    return Problem(
        code="arithmetic",
        message=f"The invoice states {amount_text(stated)} as {what}; it is"
        f" {amount_text(computed)}.",
    )
