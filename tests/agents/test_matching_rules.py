"""The decision table, rule by rule."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from parley_agents.matching_contract import MatchRequest
from parley_agents.matching_evidence import MAX_COMPARED
from parley_agents.matching_rules import RULES
from pydantic import ValidationError

from tests.agents.invoice_cases import IBAN, MATCHING, OTHER_IBAN, bill, changed, decision_on

Change = Callable[[dict[str, Any]], object]


def invoice(**values: Any) -> Change:
    return lambda request: request["invoice"]["data"].update(values)


def line(**values: Any) -> Change:
    return lambda request: request["invoice"]["data"]["lines"][0].update(values)


def totals(**values: str) -> Change:
    return lambda request: request["invoice"]["data"]["totals"].update(values)


def order(**values: Any) -> Change:
    return lambda request: request["order"]["data"].update(values)


def order_line(**values: Any) -> Change:
    return lambda request: request["order"]["data"]["lines"][0].update(values)


def supplier(**values: Any) -> Change:
    return lambda request: request["supplier"]["data"].update(values)


def without(name: str) -> Change:
    return lambda request: request.update({name: None})


def received(*receipts: dict[str, str]) -> Change:
    return lambda request: request["receipts"].update(data=list(receipts))


def posted_twin(request: dict[str, Any]) -> None:
    request["duplicates"]["data"] = [
        {
            "invoiceId": "inv-0",
            "number": "R-2041",
            "issueDate": "2026-10-30",
            "gross": "1190.00",
            "state": "posted",
            "currency": "EUR",
            "explanation": "It has the same number.",
        }
    ]


FREIGHT = {"charge": True, "amount": "25.00", "reason": "Freight", "taxPercent": None}


def freight(request: dict[str, Any]) -> None:
    request["invoice"]["data"]["charges"] = [FREIGHT]
    request["invoice"]["data"]["totals"] |= {
        "charges": "25.00",
        "net": "1025.00",
        "gross": "1215.00",
        "payable": "1215.00",
    }


def twice(request: dict[str, Any]) -> None:
    lines = request["invoice"]["data"]["lines"]
    lines.append(lines[0])


def test_an_invoice_that_matches_everything_is_approved_without_a_person() -> None:
    decision = decision_on(MATCHING)

    assert (decision.outcome, decision.rule) == ("auto-approve", "all-checks-passed")
    assert [check.rule for check in decision.checks] == [rule.id for rule in RULES]
    assert all(check.passed and check.compared for check in decision.checks)
    assert decision.variance == Decimal("0.00")
    assert decision.policy_digest.startswith("sha256:")


CASES: list[tuple[str, Change, str, str]] = [
    ("a credit note", invoice(kind="credit-note"), "hold", "complete"),
    ("two lines of one number", twice, "hold", "complete"),
    ("no lines", invoice(lines=[]), "hold", "complete"),
    ("nothing to pay", totals(payable="0"), "hold", "complete"),
    ("a negative quantity", line(quantity="-10"), "hold", "complete"),
    ("a line that is not its product", line(amount="1000.02"), "hold", "arithmetic"),
    ("a net that is not its lines", totals(net="990.00"), "hold", "arithmetic"),
    ("lines that are not their sum", totals(lines="990.00"), "hold", "arithmetic"),
    ("a charge that is not in the sum", invoice(charges=[FREIGHT]), "hold", "arithmetic"),
    ("a payable that is not its sum", totals(payable="1191.00"), "hold", "arithmetic"),
    ("a gross that is not its sum", totals(gross="1191.00"), "hold", "arithmetic"),
    ("a number that was posted", posted_twin, "hold", "duplicate"),
    ("an invoice that is posted", invoice(state="posted"), "hold", "duplicate"),
    ("an invoice that is blocked", invoice(state="blocked"), "hold", "duplicate"),
    ("an unknown seller", without("supplier"), "hold", "supplier"),
    ("a seller without a record", invoice(supplierId=None), "hold", "supplier"),
    ("another supplier's record", supplier(id="SUP-200"), "hold", "supplier"),
    ("a blocked supplier", supplier(status="blocked"), "hold", "supplier"),
    ("a changed account", invoice(payeeIban=OTHER_IBAN), "hold", "bank-account"),
    (
        "a second account that is not on file",
        invoice(payeeAccounts=[IBAN, OTHER_IBAN]),
        "hold",
        "bank-account",
    ),
    ("no account", invoice(payeeIban=None, payeeAccounts=[]), "hold", "bank-account"),
    ("an account that is no IBAN", invoice(payeeIban="none"), "hold", "bank-account"),
    ("a supplier without an account", supplier(bankAccounts=[]), "hold", "bank-account"),
    ("no such order", without("order"), "needs-approval", "order"),
    ("no order named", invoice(orderNumber=None), "needs-approval", "order"),
    ("another order", order(number="PO-9"), "needs-approval", "order"),
    ("a closed order", order(state="closed"), "needs-approval", "order"),
    ("an order of somebody else", order(supplierId="SUP-2"), "needs-approval", "order"),
    ("an order in another currency", order(currency="USD"), "needs-approval", "order"),
    ("an order that contradicts itself", order_line(amount="100.00"), "needs-approval", "order"),
    ("a line of another order", line(orderNumber="PO-9"), "needs-approval", "item"),
    ("another unit", line(unit="BX"), "needs-approval", "item"),
    ("freight", freight, "needs-approval", "charge"),
    ("another item", line(itemId="CH-8"), "needs-approval", "item"),
    ("no item", line(itemId=None), "needs-approval", "item"),
    ("an order line that is not there", line(orderLineId="7"), "needs-approval", "item"),
    ("no receipts known", without("receipts"), "needs-approval", "receipt"),
    ("nothing received", received(), "needs-approval", "receipt"),
    (
        "receipts of another order",
        received({"id": "GR-1", "orderNumber": "PO-2", "orderLineId": "1", "quantity": "10"}),
        "needs-approval",
        "receipt",
    ),
    (
        "more ordered than billed before",
        order_line(quantity="9", amount="900.00"),
        "needs-approval",
        "order-quantity",
    ),
    ("billed before", order_line(invoicedQuantity="1"), "needs-approval", "receipt"),
    (
        "a lower order price",
        order_line(unitPrice="97.00", amount="970.00"),
        "needs-approval",
        "unit-price",
    ),
    (
        "an amount billed before",
        order_line(invoicedAmount="30.00"),
        "needs-approval",
        "line-amount",
    ),
    ("a prepayment", totals(prepaid="190.00", payable="1000.00"), "needs-approval", "total"),
    ("another tax rate", order_line(taxPercent="7"), "needs-approval", "tax"),
    ("no tax rate", line(taxPercent=None), "needs-approval", "tax"),
    ("no tax rate on the order", order_line(taxPercent=None), "needs-approval", "tax"),
    (
        "too much tax",
        totals(tax="190.03", gross="1190.03", payable="1190.03"),
        "needs-approval",
        "tax",
    ),
]


@pytest.mark.parametrize(
    ("change", "outcome", "rule"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_what_does_not_match_reaches_a_person_under_the_rule_it_broke(
    change: Change, outcome: str, rule: str
) -> None:
    decision = decision_on(changed(change))

    assert (decision.outcome, decision.rule) == (outcome, rule), decision.title
    assert decision.title.endswith(".")
    assert decision.compared == next(c.compared for c in decision.checks if c.rule == rule)


def test_a_price_above_tolerance_says_by_how_much_and_where_both_prices_are_from() -> None:
    decision = decision_on(changed(bill("10", "112.00")))

    assert (decision.outcome, decision.rule) == ("needs-approval", "unit-price")
    assert decision.title == (
        "The unit price of line 1 is 112.00, 12.00 (12.00 %) above 100.00; 2.00 % and 5.00 allowed."
    )
    assert [(each.value, each.source) for each in decision.compared] == [
        ("112.00", "erp:ap.invoice.get/inv-1"),
        ("100.00", "erp:ap.order.get/PO-1001"),
    ]
    assert decision.variance == Decimal("120.00")


@pytest.mark.parametrize(
    ("quantity", "price", "outcome"),
    [("10", "102.00", "auto-approve"), ("10", "102.01", "needs-approval")],
)
def test_a_limit_is_inclusive(quantity: str, price: str, outcome: str) -> None:
    decision = decision_on(changed(bill(quantity, price)))

    assert decision.outcome == outcome


def test_receipts_of_one_order_line_are_added_up() -> None:
    parts = [
        {"id": f"GR-{q}", "orderNumber": "PO-1001", "orderLineId": "1", "quantity": q}
        for q in ("4", "5.5", "0.5")
    ]

    assert decision_on(changed(received(*parts))).outcome == "auto-approve"


def test_invoice_lines_of_one_order_line_are_added_up() -> None:
    def split(request: dict[str, Any]) -> None:
        first = request["invoice"]["data"]["lines"][0]
        first |= {"quantity": "6", "amount": "600.00"}
        second = {**first, "id": "2", "quantity": "5", "amount": "500.00"}
        request["invoice"]["data"] |= {
            "lines": [first, second],
        }
        request["invoice"]["data"]["totals"] |= {
            "lines": "1100.00",
            "net": "1100.00",
            "tax": "209.00",
            "gross": "1309.00",
            "payable": "1309.00",
        }

    decision = decision_on(changed(split))

    assert decision.rule == "receipt"
    assert "11, 1 (10.00 %) above 10" in decision.title
    assert decision.variance == Decimal("100.00")


def test_a_line_without_an_order_line_is_matched_by_its_item_if_only_one_line_has_it() -> None:
    assert decision_on(changed(line(orderLineId=None))).outcome == "auto-approve"

    def two_of_it(request: dict[str, Any]) -> None:
        request["invoice"]["data"]["lines"][0]["orderLineId"] = None
        lines = request["order"]["data"]["lines"]
        lines.append({**lines[0], "id": "2"})

    assert decision_on(changed(two_of_it)).rule == "item"


def test_an_ordered_line_without_an_item_number_is_matched_by_its_reference() -> None:
    assert decision_on(changed(order_line(itemId=None))).outcome == "auto-approve"


def test_an_iban_may_be_written_with_spaces_and_small_letters() -> None:
    spaced = "de02 1203 0000 0000 2020 51"

    assert decision_on(changed(invoice(payeeIban=spaced))).outcome == "auto-approve"


def test_an_amount_beyond_the_automatic_limit_needs_the_level_that_may_decide() -> None:
    def big(request: dict[str, Any]) -> None:
        bill("100", "100.00")(request)
        request["order"]["data"]["lines"][0] |= {"quantity": "100", "amount": "10000"}
        request["receipts"]["data"][0]["quantity"] = "100"

    decision = decision_on(changed(big))

    assert (decision.outcome, decision.rule) == ("needs-approval", "authority")
    assert decision.approver_role == "approver"
    assert {each.source for each in decision.compared} >= {"policy:invoice-exception/2026-11"}


def test_an_amount_beyond_every_level_is_held() -> None:
    def huge(request: dict[str, Any]) -> None:
        bill("1000", "100.00")(request)
        request["order"]["data"]["lines"][0] |= {"quantity": "1000", "amount": "100000"}
        request["receipts"]["data"][0]["quantity"] = "1000"

    decision = decision_on(changed(huge))

    assert (decision.outcome, decision.rule) == ("hold", "authority")
    assert "No level of the policy may decide" in decision.title


def test_a_currency_that_the_policy_has_no_limits_for_is_held() -> None:
    def dollars(request: dict[str, Any]) -> None:
        request["invoice"]["data"]["currency"] = request["order"]["data"]["currency"] = "USD"

    decision = decision_on(changed(dollars))

    assert (decision.outcome, decision.rule) == ("hold", "authority")


def test_the_failing_values_of_a_very_long_invoice_are_shown() -> None:
    def long(request: dict[str, Any]) -> None:
        bill("1", "1.00")(request)
        first = request["invoice"]["data"]["lines"][0]
        request["invoice"]["data"]["lines"] = [{**first, "id": str(n)} for n in range(300)]
        request["invoice"]["data"]["lines"][299]["amount"] = "2.00"

    decision = decision_on(changed(long))

    assert decision.rule == "arithmetic"
    assert decision.compared[0].name == "line 299: amount"
    assert len(decision.compared) == MAX_COMPARED


@pytest.mark.parametrize("amount", ["1e3", "1,200.00", "NaN", "Infinity", "١٢٠", "1.", ".5", "", " 1", "1\n", "+1", "0x1", 1200, 12.5, None, True])  # fmt: skip
def test_an_amount_in_any_other_form_is_refused(amount: object) -> None:
    with pytest.raises(ValidationError):
        MatchRequest.model_validate(changed(line(amount=amount)))


def test_a_request_without_one_of_its_parts_is_refused() -> None:
    for part in MATCHING:
        with pytest.raises(ValidationError):
            MatchRequest.model_validate(changed(lambda request, part=part: request.pop(part)))  # type: ignore[misc]


def test_the_decision_is_json_with_exact_amounts() -> None:
    value = decision_on(changed(bill("10", "112.00"))).model_dump(mode="json")

    assert value["variance"] == "120.00"
    assert value["approverRole"] == "approver"
