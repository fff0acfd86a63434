"""A policy file is read strictly, and there is no policy but a file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_agents.matching_policy import InvalidPolicyError, Limit, load_policy, parse_policy

from tests.agents.invoice_cases import POLICY_FILE

TEXT = POLICY_FILE.read_text()


def test_the_shipped_policy_is_read_exactly() -> None:
    policy = load_policy(POLICY_FILE)

    assert (policy.name, policy.currency) == ("invoice-exception", "EUR")
    assert policy.tolerances.unit_price.over.percent == Decimal("2.00")
    assert policy.tolerances.receipt.under == "any"
    assert isinstance(policy.tolerances.tax.under, Limit)
    level = policy.level_for(Decimal("50000.00"))
    assert level is not None
    assert level.role == "approver"
    assert policy.level_for(Decimal("50000.01")) is None


def test_without_a_file_there_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(InvalidPolicyError, match="no default thresholds"):
        load_policy(tmp_path / "policy.yaml")
    with pytest.raises(InvalidPolicyError, match="no default thresholds"):
        load_policy(tmp_path)


def test_the_digest_is_of_the_bytes_of_the_file(tmp_path: Path) -> None:
    copy = tmp_path / "policy.yaml"
    copy.write_text(TEXT.replace("50000.00", "40000.00"))

    assert load_policy(copy).digest != load_policy(POLICY_FILE).digest


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("currency: EUR", "", "currency: Field required"),
        ("currency: EUR", "curency: EUR", "currency"),
        ("currency: EUR", "currency: EUR\nextra: 1", "extra: Extra inputs"),
        ("currency: EUR", "currency: EUR\ncurrency: USD", "'currency' is there twice"),
        ("currency: EUR", "currency: &a EUR", "aliases are not read"),
        ("currency: EUR", "currency: !!str EUR", "tags such as"),
        ("currency: EUR", "currency: eur", "currency"),
        ("percent: 10.00", "percent: 1e1", "decimal string"),
        ("percent: 10.00", "percent: -1", "greater than or equal to 0"),
        ("percent: 10.00", "percnt: 10.00", "percnt"),
        ("{percent: 10.00}", "{}", "needs a percent, an amount, or both"),
        ("over: {percent: 2.00, amount: 5.00}", "over: any", "unit-price/over"),
        ("  unit-price:", "  unit_price:", "unit-price: Field required"),
        ("up-to: 50000.00", "up-to: 4000.00", "must ascend"),
        ("    - {up-to: 50000.00, role: approver}", "    []", "at least 1 item"),
        ("role: approver", "role: Approver!", "role"),
        ("name: invoice-exception", "name: [", "is not YAML"),
        ("name: invoice-exception", "? [a]\n: b", "a key must be a word"),
        ("name: invoice-exception", "---\na: b\n---\nname: x", "is not YAML"),
        ("name: invoice-exception", "name: " + "[" * 20, "nested deeper"),
    ],
)
def test_a_policy_with_a_mistake_is_refused_with_the_reason(
    old: str, new: str, problem: str
) -> None:
    assert old in TEXT

    with pytest.raises(InvalidPolicyError) as caught:
        parse_policy(TEXT.replace(old, new, 1).encode(), source="policy.yaml")

    assert problem in caught.value.message
    assert caught.value.message.startswith("policy.yaml")


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"text", b"\xff\xfe\xff", b"a: 1\x00", b"# " + b"x" * 70_000]
)
def test_what_is_no_policy_at_all_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidPolicyError):
        parse_policy(raw, source="policy.yaml")


@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_other_bytes_are_refused_without_a_crash(raw: bytes) -> None:
    with pytest.raises(InvalidPolicyError):
        parse_policy(raw, source="policy.yaml")
