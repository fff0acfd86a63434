from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.errors import UnauthenticatedError
from parley_coordinator.governance.access import Role
from parley_coordinator.governance.accounts import (
    Accounts,
    AccountsFileError,
    open_tokens,
    read_tokens,
)

TOKEN = "pt_" + "a" * 40


def written(home: Path, body: Any, mode: int = 0o600) -> Path:
    path = home / "tokens.json"
    path.write_text(body if isinstance(body, str) else json.dumps(body))
    path.chmod(mode)
    return path


def test_the_first_start_makes_a_private_file_with_a_token_for_each_role(tmp_path: Path) -> None:
    accounts = Accounts.open(tmp_path / "home")
    path = tmp_path / "home" / "tokens.json"
    tokens = json.loads(path.read_text())

    assert set(tokens) == {"requester", "approver", "operator", "auditor"}
    assert len(set(tokens.values())) == 4
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["tokens.json"]
    for role in Role:
        principal = accounts.principal(f"Bearer {tokens[role]}")
        assert (principal.subject, principal.roles) == (str(role), frozenset({role}))


def test_the_next_start_keeps_the_tokens(tmp_path: Path) -> None:
    assert open_tokens(tmp_path) == open_tokens(tmp_path)


def test_a_removed_line_closes_the_account(tmp_path: Path) -> None:
    tokens = open_tokens(tmp_path)
    written(tmp_path, {"approver": tokens[Role.APPROVER]})

    accounts = Accounts.open(tmp_path)

    assert accounts.principal(f"Bearer {tokens[Role.APPROVER]}").subject == "approver"
    with pytest.raises(UnauthenticatedError):
        accounts.principal(f"Bearer {tokens[Role.OPERATOR]}")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"]
)
def test_whoever_sends_no_known_token_is_nobody(header: str | None) -> None:
    with pytest.raises(UnauthenticatedError):
        Accounts({TOKEN: Role.APPROVER}).principal(header)


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
def test_the_scheme_may_be_written_in_any_case(header: str) -> None:
    assert Accounts({TOKEN: Role.APPROVER}).principal(header).subject == "approver"


@given(st.text(max_size=200))
def test_no_other_text_is_a_token(text: str) -> None:
    accounts = Accounts({TOKEN: Role.APPROVER})
    if text.strip() != TOKEN:
        with pytest.raises(UnauthenticatedError):
            accounts.principal(f"Bearer {text}")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{", "not usable"),
        ("[]", "JSON object"),
        ({"king": TOKEN}, "not a role"),
        ({"approver": "short"}, "must look like"),
        ({"approver": 7}, "must look like"),
        ({"approver": TOKEN, "operator": TOKEN}, "same token"),
        ('{"approver": "a", "approver": "b"}', "twice"),
    ],
)
def test_a_file_that_is_not_ours_lets_nobody_in(tmp_path: Path, body: Any, problem: str) -> None:
    with pytest.raises(AccountsFileError, match=problem):
        read_tokens(written(tmp_path, body))


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AccountsFileError, match="chmod 600"):
        Accounts.open(written(tmp_path, {"approver": TOKEN}, mode=0o644).parent)
