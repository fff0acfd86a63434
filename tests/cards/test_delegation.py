"""The delegation contract: what is read, what is refused, and that nobody can widen it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_cards.delegation import (
    UNLIMITED,
    Ancestor,
    Budget,
    BudgetExhaustedError,
    DeadlineExceededError,
    DelegationContract,
    DelegationCycleError,
    DelegationTooDeepError,
    InvalidDelegationError,
    Spent,
)
from parley_cards.delegation_json import delegation_of, read_budget, read_delegation, spent_of
from parley_cards.extensions import DELEGATION

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
WHOLE: dict[str, Any] = {
    "skill": "match-invoice",
    "deadline": "2026-05-04T09:30:00.000Z",
    "budget": {"calls": 12, "cost": {"amount": "2.50", "unit": "EUR"}},
    "ancestors": [{"name": "invoices", "url": "https://a.example/a2a", "run": "r-1"}],
    "traceparent": TRACE,
    "idempotencyKey": "k-1",
}

MOMENTS = st.integers(0, 4_000_000_000_000).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
AMOUNTS = st.decimals(0, 1_000_000, places=2, allow_nan=False)
BUDGETS = st.builds(
    lambda calls, cost: Budget(calls=calls, cost=cost, unit="" if cost is None else "EUR"),
    st.none() | st.integers(0, 50),
    st.none() | AMOUNTS,
)
ANCESTORS = st.builds(
    Ancestor, name=st.text("abc", min_size=1, max_size=3), url=st.sampled_from(["", "u1", "u2"])
)
CONTRACTS = st.builds(
    DelegationContract,
    deadline=st.none() | MOMENTS,
    budget=BUDGETS,
    ancestors=st.lists(ANCESTORS, max_size=4).map(tuple),
    traceparent=st.sampled_from(["", TRACE]),
    idempotency_key=st.sampled_from(["", "k"]),
)
SPENT = st.builds(
    lambda calls, cost: Spent(calls=calls, cost=cost, unit="EUR"), st.integers(0, 60), AMOUNTS
)


@given(CONTRACTS)
def test_what_is_written_is_read_as_the_same(contract: DelegationContract) -> None:
    assert read_delegation(contract.as_json()) == contract


@given(CONTRACTS, st.none() | MOMENTS, BUDGETS, SPENT)
def test_who_passes_work_on_narrows_it_and_never_widens_it(
    contract: DelegationContract, deadline: datetime | None, budget: Budget, spent: Spent
) -> None:
    me = Ancestor(name="me")
    try:
        passed = contract.narrowed(
            by=me, idempotency_key="k", deadline=deadline, budget=budget, spent=spent
        )
    except BudgetExhaustedError:
        assert contract.budget.less(spent).narrowed(budget).exhausted
        return

    assert passed.ancestors == (*contract.ancestors, me)
    if contract.deadline is not None:
        assert passed.deadline is not None
        assert passed.deadline <= contract.deadline
    if contract.budget.calls is not None:
        assert passed.budget.calls is not None
        assert passed.budget.calls < contract.budget.calls
    if contract.budget.cost is not None:
        assert passed.budget.cost is not None
        assert passed.budget.cost <= contract.budget.cost


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*WHOLE, "calls", "cost", "amount", "name"]), inner),
    max_leaves=8,
))  # fmt: skip
def test_anything_else_is_refused_with_a_reason_or_read(value: Any) -> None:
    try:
        read_delegation(value)
    except InvalidDelegationError as error:
        assert error.code == "invalid_delegation"
        assert len(error.message) < 1000


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("deadline", "2026-05-04T09:30:00"),
        ("deadline", "2026-05-04T09:30:00+02:00"),
        ("deadline", "2026-13-04T09:30:00Z"),
        ("deadline", 1777887000),
        ("budget", {"calls": -1}),
        ("budget", {"calls": "3"}),
        ("budget", {"calls": True}),
        ("budget", {"cost": {"amount": 2.5, "unit": "EUR"}}),
        ("budget", {"cost": {"amount": "1e9", "unit": "EUR"}}),
        ("budget", {"cost": {"amount": "2.50"}}),
        ("budget", 7),
        ("ancestors", {"name": "a"}),
        ("ancestors", [{"url": "https://a.example"}]),
        ("ancestors", [{"name": ""}]),
        ("ancestors", [{"name": "a"}] * 65),
        ("traceparent", TRACE.upper()),
        ("traceparent", "00-" + "0" * 32 + "-00f067aa0ba902b7-01"),
        ("traceparent", TRACE + "-more"),
        ("idempotencyKey", ""),
        ("idempotencyKey", "with space"),
        ("idempotencyKey", "k" * 257),
    ],
)
def test_a_member_that_is_not_of_its_form_makes_the_contract_invalid(
    member: str, value: Any
) -> None:
    with pytest.raises(InvalidDelegationError, match=member):
        delegation_of({DELEGATION: {**WHOLE, member: value}})


def test_members_of_a_later_version_and_a_missing_contract_set_no_limit() -> None:
    assert delegation_of({}) == UNLIMITED
    assert delegation_of({DELEGATION: {"skill": "act", "priority": "high"}}) == UNLIMITED


def test_a_deadline_finer_than_a_microsecond_is_taken_as_the_earlier_moment() -> None:
    read = read_delegation({"deadline": "2026-05-04T09:30:00.123456789Z"})

    assert read.deadline == datetime(2026, 5, 4, 9, 30, 0, 123456, tzinfo=UTC)


def test_an_ancestor_is_recognised_by_its_address_and_only_without_one_by_its_name() -> None:
    above = DelegationContract(
        ancestors=(Ancestor(name="triage", url="https://a.example/a2a"), Ancestor(name="lookup"))
    )

    above.check_chain("triage", ["https://b.example/a2a"])
    with pytest.raises(DelegationCycleError, match="triage > lookup > other"):
        above.check_chain("other", ["https://c.example", "https://a.example/a2a"])
    with pytest.raises(DelegationCycleError):
        above.check_chain("lookup", ["https://d.example"])


def test_work_is_passed_on_so_many_times_and_no_more() -> None:
    above = DelegationContract(ancestors=tuple(Ancestor(name=f"a{n}") for n in range(4)))

    above.check_chain("next", [], max_depth=4)
    with pytest.raises(DelegationTooDeepError, match="passed on 4 times, at most 3"):
        above.check_chain("next", [], max_depth=3)


def test_a_budget_that_is_used_up_buys_no_further_call() -> None:
    contract = DelegationContract(budget=Budget(calls=3, cost=Decimal("1.00"), unit="EUR"))
    me = Ancestor(name="me")

    left = contract.narrowed(by=me, idempotency_key="k", spent=Spent(calls=2))

    assert left.budget == Budget(calls=0, cost=Decimal("1.00"), unit="EUR")
    with pytest.raises(BudgetExhaustedError, match="no calls are left"):
        left.narrowed(by=me, idempotency_key="k")
    spent = Spent(cost=Decimal("1.00"), unit="EUR")
    with pytest.raises(BudgetExhaustedError, match="nothing is left of the cost in EUR"):
        contract.narrowed(by=me, idempotency_key="k", spent=spent)


def test_cost_in_another_unit_is_not_taken_from_a_budget() -> None:
    budget = Budget(cost=Decimal(5), unit="EUR")

    assert budget.less(Spent(cost=Decimal(9), unit="tokens")) == budget
    assert budget.narrowed(Budget(cost=Decimal(1), unit="tokens")) == budget


def test_a_new_call_has_a_span_of_its_own_in_the_trace_that_it_belongs_to() -> None:
    contract = DelegationContract(traceparent=TRACE)

    passed = contract.narrowed(by=Ancestor(name="me"), idempotency_key="k", span="a" * 16)

    assert passed.trace_id == contract.trace_id
    assert passed.traceparent == f"00-{contract.trace_id}-{'a' * 16}-01"


def test_a_deadline_is_over_at_its_very_moment() -> None:
    at = datetime(2026, 5, 4, tzinfo=UTC)
    contract = DelegationContract(deadline=at)

    contract.check_deadline(at - timedelta(microseconds=1))
    with pytest.raises(DeadlineExceededError, match="the deadline 2026-05-04T00"):
        contract.check_deadline(at)


def test_a_person_who_misspells_a_budget_is_told() -> None:
    with pytest.raises(InvalidDelegationError, match="/call is unknown"):
        read_budget({"call": 3})


def test_what_an_agent_reports_as_spent_is_taken_if_it_is_of_its_form() -> None:
    report = {"calls": 2, "cost": {"amount": "0.40", "unit": "EUR"}}

    assert spent_of({DELEGATION: {"spent": report}}).as_json() == report
    assert spent_of({DELEGATION: {"spent": {"calls": "two"}}}) == Spent()
    assert spent_of({DELEGATION: {"spent": {"calls": 2.0}}}) == Spent(calls=2)
    assert spent_of({DELEGATION: "rubbish"}) == Spent()
    assert spent_of({}) == Spent()
