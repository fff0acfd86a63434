"""The checks of the three-way match on the invoice alone and on the supplier.

Each check looks at evidence and says what is wrong with it. It passes only if it compared something
and found nothing wrong (matching_rules.py); one that has nothing to compare raises
`NotComparableError`. Nothing here does I/O.
"""

from __future__ import annotations

import re

from parley_agents.amounts import written
from parley_agents.matching_evidence import Case, Evidence, total

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


def complete(case: Case, evidence: Evidence) -> None:
    """The invoice is one that can be matched at all."""
    invoice, record = case.invoice, case.request.invoice
    evidence.saw("kind of document", invoice.kind, record)
    evidence.same("the kind of document", invoice.kind, "invoice")
    evidence.saw("number of lines", str(len(invoice.lines)), record)
    if not invoice.lines:
        evidence.wrong("the invoice has no lines")
    if len({line.id for line in invoice.lines}) != len(invoice.lines):
        evidence.wrong("two lines have the same number")
    evidence.done()
    for line in invoice.lines:
        evidence.saw(f"line {line.id}: quantity", line.quantity, record)
        evidence.saw(f"line {line.id}: unit price", line.unit_price, record)
        if line.quantity <= 0 or line.unit_price < 0:
            evidence.wrong(f"line {line.id} has a quantity or price that an invoice cannot have")
        evidence.done()
    totals = invoice.totals
    evidence.saw("net", totals.net, record)
    evidence.saw("tax", totals.tax, record)
    evidence.saw("payable", totals.payable, record)
    if totals.net < 0 or totals.tax < 0 or totals.payable <= 0:
        evidence.wrong("the totals are not those of something to pay")


def arithmetic(case: Case, evidence: Evidence) -> None:
    """The invoice agrees with itself."""
    invoice, record = case.invoice, case.request.invoice
    for line in invoice.lines:
        product = line.quantity * line.unit_price
        evidence.saw(f"line {line.id}: amount", line.amount, record)
        evidence.saw(f"line {line.id}: quantity times unit price", product, record)
        evidence.within(
            f"the amount of line {line.id}",
            line.amount,
            product,
            case.policy.tolerances.rounding,
        )
    totals = invoice.totals
    added = total(each.amount for each in invoice.charges if each.charge)
    taken = total(each.amount for each in invoice.charges if not each.charge)
    for what, actual, expected in (
        ("sum of the lines", totals.lines, total(line.amount for line in invoice.lines)),
        ("sum of the charges", totals.charges, added),
        ("sum of the allowances", totals.allowances, taken),
        ("net", totals.net, totals.lines - totals.allowances + totals.charges),
        ("gross", totals.gross, totals.net + totals.tax),
        ("payable", totals.payable, totals.gross - totals.prepaid + totals.rounding),
    ):
        evidence.saw(f"{what}: stated", actual, record)
        evidence.saw(f"{what}: computed", expected, record)
        if actual != expected:
            evidence.wrong(f"{what} is stated as {written(actual)}, it is {written(expected)}")
        evidence.done()


def duplicate(case: Case, evidence: Evidence) -> None:
    """Nobody has asked for this money before."""
    invoice, others = case.invoice, case.request.duplicates
    evidence.saw("state of the invoice", invoice.state, case.request.invoice)
    if invoice.state != "captured":
        evidence.wrong(f"the invoice is {invoice.state} already")
    evidence.done()
    evidence.saw("other invoices like this one", str(len(others.data)), others)
    for other in others.data:
        evidence.saw(f"invoice {other.number} of {other.issue_date}", other.state, others)
        evidence.saw(f"invoice {other.number}: gross", other.gross, others)
        evidence.wrong(
            f"invoice {other.number} of {other.issue_date} ({other.state}) may be the same claim:"
            f" {other.explanation.rstrip('.')}"
        )


def supplier(case: Case, evidence: Evidence) -> None:
    """The seller is known and may be paid."""
    record = case.request.supplier
    evidence.saw("supplier of the invoice", case.invoice.supplier_id, case.request.invoice)
    if record is None:
        evidence.wrong(f"the seller {case.invoice.supplier_name!r} is not a known supplier")
        return
    evidence.saw("supplier on file", record.data.id, record)
    evidence.same("the supplier of the invoice", case.invoice.supplier_id, record.data.id)
    evidence.saw("status of the supplier", record.data.status, record)
    evidence.same(f"the status of supplier {record.data.name!r}", record.data.status, "active")


def bank_account(case: Case, evidence: Evidence) -> None:
    """The money can only go to an account that is on file for this supplier.

    Every account that the invoice names counts, not only the first. A changed account is the
    commonest invoice fraud.
    """
    record, invoice = case.request.supplier, case.invoice
    asked = [
        *dict.fromkeys(
            [*([invoice.payee_iban] if invoice.payee_iban else []), *invoice.payee_accounts]
        )
    ]
    for account in asked:
        evidence.saw("account named by the invoice", account, case.request.invoice)
    known = Case.required(record, "no supplier is on file").bank_accounts
    evidence.saw("accounts on file", ", ".join(known) or None, record)
    on_file = {_electronic(account) for account in known} - {""}
    if invoice.payee_iban is None:
        evidence.wrong("the invoice names no account that can be checked")
    for account in asked:
        if _electronic(account) not in on_file:
            evidence.wrong(
                f"the account {account} is not on file for this supplier;"
                " call the supplier back on a number that was known before"
            )


def charge(case: Case, evidence: Evidence) -> None:
    """Nothing is added or taken off that the order does not have; orders have lines only."""
    evidence.saw("charges and allowances", str(len(case.invoice.charges)), case.request.invoice)
    for each in case.invoice.charges:
        kind = "charge" if each.charge else "allowance"
        evidence.saw(f"{kind} {each.reason!r}", each.amount, case.request.invoice)
        evidence.wrong(
            f"the {kind} {each.reason!r} of {written(each.amount)} is not part of the order"
        )


def authority(case: Case, evidence: Evidence) -> None:
    """The amount is one that the policy lets pass without a person."""
    gross, policy = case.invoice.totals.gross, case.policy
    evidence.saw("currency of the invoice", case.invoice.currency, case.request.invoice)
    evidence.limit("currency of the policy", policy.currency)
    evidence.same("the currency", case.invoice.currency, policy.currency)
    evidence.saw("gross", gross, case.request.invoice)
    evidence.limit("automatic up to", policy.authority.automatic_up_to)
    if gross > policy.authority.automatic_up_to:
        evidence.wrong(
            f"{written(gross)} {case.invoice.currency} is more than may be posted without a person"
            f" ({written(policy.authority.automatic_up_to)} {policy.currency})"
        )


def _electronic(account: str) -> str:
    """Return the IBAN in its electronic form; empty if it has not the form of one."""
    text = account.replace(" ", "").upper()
    return text if _IBAN.fullmatch(text) else ""
