"""What match-invoice takes and returns."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from parley_agents.amounts import Sum
from parley_agents.records import (
    Contract,
    Currency,
    Duplicates,
    Invoice,
    Order,
    Receipts,
    Record,
    Source,
    Supplier,
)

Outcome = Literal["auto-approve", "needs-approval", "hold"]


class MatchRequest(Contract):
    """An invoice and what the systems of record say about it, each with its source."""

    invoice: Record[Invoice]
    order: Record[Order] | None
    """None: the invoice names no order, or there is none of that number."""
    receipts: Record[Receipts] | None
    supplier: Record[Supplier] | None
    """None: the seller is not known."""
    duplicates: Record[Duplicates]
    """Other invoices that may be the same claim."""


class Comparison(Contract):
    """One value that a check looked at."""

    name: str
    value: str
    source: Source


class Check(Contract):
    """One rule, applied."""

    rule: str
    passed: bool
    title: str
    """The result in one sentence for people."""
    compared: list[Comparison]
    """In the order to be read."""


class MatchDecision(Contract):
    outcome: Outcome
    rule: str
    """The rule that decided: the first that failed, or `all-checks-passed`."""
    title: str
    approver_role: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    """Who may decide if a person must."""
    checks: Annotated[list[Check], Field(max_length=50)]
    """Every rule, in the order of the decision table."""
    compared: list[Comparison]
    """Of the rule that decided."""
    variance: Sum
    """Net, in `currency`: what the invoice asks beyond the order's prices for the quantity that was
    received and not yet invoiced. Negative: it asks less."""
    currency: Currency
    policy_version: str
    policy_digest: str
