"""What must hold for every invoice: nothing is approved that was not checked and found good."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from parley_agents.matching_contract import Check, MatchRequest
from parley_agents.matching_evidence import Case
from parley_agents.matching_rules import RULES, apply_rule, decide, verdict
from pydantic import ValidationError

from tests.agents.invoice_cases import IBAN, MATCHING, bill, changed, decision_on, shipped_policy

POLICY = shipped_policy()

amounts = st.decimals(
    min_value=Decimal("-99999"), max_value=Decimal("99999"), places=2, allow_nan=False
).map(lambda value: format(value, "f"))


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for key, child in value.items() for leaf in _leaves(child, (*path, key))]
    if isinstance(value, list) and value:
        return [leaf for key, child in enumerate(value) for leaf in _leaves(child, (*path, key))]
    return [path]


def _put(request: dict[str, Any], path: tuple[Any, ...], value: object) -> None:
    target: Any = request
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value


LEAVES = _leaves(MATCHING)
AMOUNTS = [
    path
    for path in LEAVES
    if path[-1] in {"quantity", "unitPrice", "amount", "taxPercent", "invoicedQuantity"}
    or path[-1] == "invoicedAmount"
    or "totals" in path
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=2) | st.dictionaries(st.text(), children, max_size=2)
    ),
    max_leaves=4,
)


@given(st.text(max_size=40) | st.sampled_from([IBAN[:-1], IBAN + "0", IBAN.replace("0", "O")]))
def test_an_invoice_with_another_bank_account_is_never_approved(account: str) -> None:
    def change(request: dict[str, Any]) -> None:
        request["invoice"]["data"]["payeeIban"] = account
        request["invoice"]["data"]["payeeAccounts"] = [account]

    if account.replace(" ", "").upper() == IBAN:
        return
    try:
        decision = decision_on(changed(change), POLICY)
    except ValidationError:
        return

    assert decision.outcome == "hold"
    assert not next(check for check in decision.checks if check.rule == "bank-account").passed


@given(amounts, amounts)
def test_whatever_the_amounts_a_changed_bank_account_is_held(quantity: str, price: str) -> None:
    def change(request: dict[str, Any]) -> None:
        bill(quantity, price)(request)
        request["supplier"]["data"]["bankAccounts"] = []

    assert decision_on(changed(change), POLICY).outcome == "hold"


@given(st.data())
def test_results_that_are_not_the_whole_table_are_never_an_approval(data: st.DataObject) -> None:
    case = Case(MatchRequest.model_validate(MATCHING), POLICY)
    results = [apply_rule(rule, case) for rule in RULES]
    picked = data.draw(st.lists(st.sampled_from(results), max_size=len(results) + 2))

    decision = verdict(case, picked)

    whole = [check.rule for check in picked] == [rule.id for rule in RULES]
    assert (decision.outcome == "auto-approve") is whole
    assert whole or decision.outcome == "hold"


@given(st.lists(st.booleans(), min_size=len(RULES), max_size=len(RULES)))
def test_one_check_that_did_not_pass_is_enough(passed: list[bool]) -> None:
    case = Case(MatchRequest.model_validate(MATCHING), POLICY)
    results = [
        Check(rule=rule.id, passed=good, title=".", compared=[])
        for rule, good in zip(RULES, passed, strict=True)
    ]

    decision = verdict(case, results)

    assert (decision.outcome == "auto-approve") is all(passed)
    holds = any(
        not good and rule.otherwise == "hold" for rule, good in zip(RULES, passed, strict=True)
    )
    assert (decision.outcome == "hold") is holds


@given(st.sampled_from(LEAVES), json_values)
def test_a_value_of_another_kind_is_refused_or_decided_but_never_crashes(
    path: tuple[Any, ...], value: object
) -> None:
    request = copy.deepcopy(MATCHING)
    _put(request, path, value)

    try:
        parsed = MatchRequest.model_validate(request)
    except ValidationError:
        return

    decide(parsed, POLICY)


@given(st.sampled_from(AMOUNTS), st.text(max_size=12) | st.floats() | st.integers() | st.none())
def test_an_amount_that_is_not_one_is_never_approved(path: tuple[Any, ...], value: object) -> None:
    original: Any = MATCHING
    for key in path:
        original = original[key]
    request = copy.deepcopy(MATCHING)
    _put(request, path, value)

    try:
        decision = decide(MatchRequest.model_validate(request), POLICY)
    except ValidationError:
        return

    if decision.outcome == "auto-approve":  # only by being the same number, written otherwise
        assert isinstance(value, str)
        assert abs(Decimal(value) - Decimal(original)) <= Decimal("0.01")


@given(st.sampled_from(AMOUNTS), amounts)
def test_an_invoice_whose_amounts_were_changed_is_approved_only_within_the_tolerances(
    path: tuple[Any, ...], value: str
) -> None:
    request = copy.deepcopy(MATCHING)
    _put(request, path, value)

    decision = decide(MatchRequest.model_validate(request), POLICY)

    if decision.outcome == "auto-approve":
        invoice = decision_on(request, POLICY)
        assert invoice.variance <= Decimal("50.00")
        assert Decimal(request["invoice"]["data"]["totals"]["gross"]) <= Decimal("5000")


@given(st.sampled_from(sorted(MATCHING)))
def test_without_one_of_the_records_nothing_is_approved(name: str) -> None:
    try:
        decision = decision_on({**MATCHING, name: None}, POLICY)
    except ValidationError:
        return

    assert decision.outcome != "auto-approve"


@given(amounts, amounts, amounts, amounts)
def test_the_decision_depends_on_its_input_alone(a: str, b: str, c: str, d: str) -> None:
    def change(request: dict[str, Any]) -> None:
        bill(a, b)(request)
        request["order"]["data"]["lines"][0] |= {"unitPrice": c, "quantity": d}

    first, second = (decision_on(changed(change), POLICY) for _ in range(2))

    assert first == second
