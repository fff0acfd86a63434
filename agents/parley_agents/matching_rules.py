"""The decision table of the three-way match. Pure: an invoice, its records and a policy go in.

Default deny: an invoice is approved only if every rule of the table was applied, compared something
and found nothing wrong. A rule that is missing, has nothing to compare, or cannot be computed has
not passed, and a table that is not whole holds the invoice.

Source: the order of work, the codes and the tolerances of accounts payable departments, as published
for Dynamics 365, SAP, Oracle and ServiceNow; the tests name them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Context, DivisionByZero, InvalidOperation, Overflow, localcontext
from typing import Final, Literal, NamedTuple

from parley_agents import matching_checks as checks
from parley_agents import matching_order_checks as order_checks
from parley_agents.amounts import written
from parley_agents.matching_contract import Check, Comparison, MatchDecision, MatchRequest, Outcome
from parley_agents.matching_evidence import Case, Evidence, NotComparableError, variance
from parley_agents.matching_policy import Policy

EXACT: Final = Context(prec=120, traps=[InvalidOperation, DivisionByZero, Overflow])
"""Holds every sum and product that the checks form of amounts with 30 digits."""

MAX_PROBLEM: Final = 600
"""Characters of a problem that are told; names of other people's making are part of it."""
ALL_PASSED: Final = "all-checks-passed"


class Rule(NamedTuple):
    """One row of the decision table."""

    id: str
    otherwise: Literal["needs-approval", "hold"]
    """What becomes of an invoice that does not pass."""
    passed: str
    """The result in words when it passes."""
    apply: Callable[[Case, Evidence], None]


RULES: Final = (
    Rule("complete", "hold", "The invoice is complete.", checks.complete),
    Rule("arithmetic", "hold", "The invoice adds up.", checks.arithmetic),
    Rule("duplicate", "hold", "No other invoice asks for the same.", checks.duplicate),
    Rule("supplier", "hold", "The supplier is known and active.", checks.supplier),
    Rule("bank-account", "hold", "The bank account is on file.", checks.bank_account),
    Rule("order", "needs-approval", "There is an open order of this supplier.", order_checks.order),
    Rule("item", "needs-approval", "Each line bills an item that was ordered.", order_checks.item),
    Rule("charge", "needs-approval", "Nothing is charged beyond the order.", checks.charge),
    Rule("receipt", "needs-approval", "What is billed was received.", order_checks.receipt),
    Rule(
        "order-quantity",
        "needs-approval",
        "What is billed was ordered.",
        order_checks.order_quantity,
    ),
    Rule("unit-price", "needs-approval", "Prices are those of the order.", order_checks.unit_price),
    Rule("line-amount", "needs-approval", "No order line is exceeded.", order_checks.line_amount),
    Rule(
        "total",
        "needs-approval",
        "The value of the order is not exceeded.",
        order_checks.order_total,
    ),
    Rule("tax", "needs-approval", "The tax is that of the order's rates.", order_checks.tax),
    Rule("authority", "needs-approval", "The amount needs no person.", checks.authority),
)
"""In the order of an accounts payable department's work; the first rule that fails decides."""


def decide(request: MatchRequest, policy: Policy) -> MatchDecision:
    """Match an invoice with its order, receipts and supplier, and say what may be done with it."""
    with localcontext(EXACT):
        case = Case(request, policy)
        return verdict(case, [apply_rule(rule, case) for rule in RULES])


def apply_rule(rule: Rule, case: Case) -> Check:
    """Apply one rule. It passes only if it compared something and found nothing wrong."""
    evidence = Evidence(case)
    try:
        rule.apply(case, evidence)
    except NotComparableError as exc:
        evidence.wrong(f"{rule.id.replace('-', ' ')} could not be checked: {exc}")
    except ArithmeticError as exc:
        evidence.wrong(f"{rule.id.replace('-', ' ')} could not be computed: {type(exc).__name__}")
    if not evidence.compared and not evidence.problems:
        evidence.wrong(f"{rule.id.replace('-', ' ')} had nothing to compare")
    return Check(
        rule=rule.id,
        passed=not evidence.problems,
        title=_sentence(evidence.problems) if evidence.problems else rule.passed,
        compared=evidence.shown(),
    )


def verdict(case: Case, results: Sequence[Check]) -> MatchDecision:
    """Decide from the results of the rules; anything but a whole table that passed is no approval.

    Args:
        results: One per rule, in the order of `RULES`.
    """
    policy, gross = case.policy, case.invoice.totals.gross
    comparable = case.invoice.currency == policy.currency
    level = policy.level_for(gross) if comparable else None
    compared: list[Comparison] = []
    outcome: Outcome = "hold"
    if [check.rule for check in results] != [rule.id for rule in RULES]:
        rule, title = "complete", "Not every rule was applied, so nobody may rely on the result."
    elif all(check.passed is True for check in results):
        outcome, rule, title = "auto-approve", ALL_PASSED, "Every check has passed."
        compared = next(check.compared for check in results if check.rule == "total")
    else:
        failed = next(check for check in results if not check.passed)
        rule, title, compared = failed.rule, failed.title, failed.compared
        if level is not None:
            outcome = next(each.otherwise for each in RULES if each.id == rule)
        else:
            title += (
                f" No level of the policy may decide on {written(gross)} {case.invoice.currency}."
            )
    return MatchDecision(
        outcome=outcome,
        rule=rule,
        title=title,
        approver_role=(level or policy.authority.levels[-1]).role,
        checks=list(results),
        compared=compared,
        variance=variance(case),
        currency=case.invoice.currency,
        policy_version=policy.version,
        policy_digest=policy.digest,
    )


def _sentence(problems: Sequence[str]) -> str:
    first = problems[0][:1].upper() + problems[0][1:MAX_PROBLEM].rstrip()
    more = len(problems) - 1
    return f"{first}." if not more else f"{first} (and {more} more)."
