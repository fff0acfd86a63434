"""Worked examples that others published, as pass and fail.

Source: Microsoft, Dynamics 365 Finance, "Accounts payable invoice matching" (examples of price,
total, charges and invoice totals matching); OASIS UBL 2.0, example chain Order 100 / Receipt 90.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from parley_agents.matching_evidence import excess
from parley_agents.matching_policy import Limit, Tolerance

from tests.agents.invoice_cases import changed, decision_on


def over(*, percent: str | None = None, amount: str | None = None) -> Tolerance:
    limit = Limit.model_validate({"percent": percent, "amount": amount})
    return Tolerance(over=limit, under=limit)


@pytest.mark.parametrize(
    ("expected", "actual", "tolerance", "passes"),
    [
        ("1.00", "1.05", over(percent="5"), True),
        ("1.00", "1.10", over(percent="5"), False),
        ("100", "105", over(percent="10"), True),
        ("100", "150", over(percent="10"), False),
        ("100", "150", over(amount="100"), True),
        ("100", "205", over(amount="100"), False),
        ("100", "105", over(percent="10", amount="100"), True),
        ("100", "150", over(percent="10", amount="100"), False),
        ("1000", "1105", over(percent="20", amount="100"), False),
        ("0", "25", over(percent="10"), False),
        ("9.90", "0", over(percent="20"), False),
        ("0", "4", over(percent="0"), False),
        ("4", "4", over(percent="0"), True),
    ],
)
def test_a_published_example_ends_as_published(
    expected: str, actual: str, tolerance: Tolerance, *, passes: bool
) -> None:
    assert (excess(Decimal(actual), Decimal(expected), tolerance) == "") is passes


def test_the_third_invoice_on_a_line_fails_because_amounts_are_cumulative() -> None:
    """800 + 100 + 200 units at 10.80 on a line of 10,000, tolerance 15 % or 500."""
    line = Decimal(10_000)
    tolerance = Tolerance(over=over(percent="15", amount="500").over, under="any")
    billed, results = Decimal(0), []

    for units in (800, 100, 200):
        billed += units * Decimal("10.80")
        results.append(excess(billed, line, tolerance) == "")

    assert results == [True, True, False]
    assert excess(billed, line, tolerance).startswith("11880.00, 1880.00 (18.80 %) above 10000")


def test_the_chain_of_the_standard_with_ten_missing_from_the_receipt_reaches_a_person() -> None:
    """Order 100 kg at 100.00 that says it is worth 100.00, 90 received, 100 invoiced at 1.00 less
    an allowance of 10, tax on 100."""

    def chain(request: dict[str, Any]) -> None:
        invoice, order = request["invoice"]["data"], request["order"]["data"]
        order["lines"][0] |= {
            "quantity": "100",
            "unitPrice": "100.00",
            "amount": "100.00",
            "taxPercent": "17.5",
        }
        request["receipts"]["data"][0]["quantity"] = "90"
        invoice["lines"][0] |= {
            "quantity": "100",
            "unitPrice": "1.00",
            "amount": "100.00",
            "taxPercent": "17.5",
        }
        invoice["charges"] = [
            {"charge": False, "amount": "10.00", "reason": "Damage", "taxPercent": "17.5"}
        ]
        invoice["totals"] |= {
            "lines": "100.00",
            "allowances": "10.00",
            "net": "90.00",
            "tax": "17.50",
            "gross": "107.50",
            "payable": "107.50",
        }

    decision = decision_on(changed(chain))

    failed = {check.rule for check in decision.checks if not check.passed}
    assert decision.outcome == "needs-approval"
    assert failed == {"order", "charge", "receipt", "unit-price"}
