"""The page of the delegation extension, executed: a vendor implements from it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from parley_cards import delegation
from parley_cards.delegation import Ancestor, DelegationError, InvalidDelegationError, Spent
from parley_cards.delegation_json import read_delegation, spent_of
from parley_cards.extensions import DELEGATION

PAGE = (Path(__file__).parents[2] / "docs/delegation-extension.md").read_text("utf-8")
REFUSED = re.findall(r"^\| `(\w+)` \| `(.+)` \| [^|]+ \|$", PAGE, re.MULTILINE)


def example(kind: str = "") -> dict[str, Any]:
    (found,) = re.findall(rf"^```json{kind}\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    value: dict[str, Any] = json.loads(found)
    return value


def test_the_example_is_a_contract_and_has_every_member() -> None:
    contract = read_delegation(example())

    assert contract.as_json() == {
        k: v for k, v in example().items() if k not in ("skill", "version")
    }


@pytest.mark.parametrize(("member", "value"), REFUSED)
def test_what_the_page_calls_invalid_is_refused(member: str, value: str) -> None:
    with pytest.raises(InvalidDelegationError, match=member):
        read_delegation({**example(), member: json.loads(value)})


def test_the_example_of_work_that_is_passed_on_is_what_narrowing_gives() -> None:
    passed = read_delegation(example()).narrowed(
        by=Ancestor(name="matching", url="https://matching.example/a2a", run="task-9"),
        idempotency_key="prices:5f2b0f3c9e",
        span="b7ad6b7169203331",
        deadline=datetime(2026, 5, 4, 9, 20, tzinfo=UTC),
        spent=Spent(calls=2, cost=Decimal("0.70"), unit="EUR"),
    )

    assert passed.as_json() == example(" narrowed")


def test_the_example_of_a_report_is_read() -> None:
    report = example(" spent")

    assert spent_of({DELEGATION: report}).as_json() == report["spent"]


def test_the_page_has_every_code_and_every_form_that_is_refused() -> None:
    codes = {each.code for each in vars(delegation).values() if _is_error(each)}

    assert set(re.findall(r"^\| `([a-z_]+)` \| (?:REJECTED|FAILED)", PAGE, re.MULTILINE)) == codes
    assert len(REFUSED) >= 9


def _is_error(value: object) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, DelegationError)
        and value is not DelegationError
    )
