"""The files that secrets are in, and how they are kept out of what is written down."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.protocols.outcome import told
from parley_coordinator.protocols.redaction import HIDDEN, Redaction, confidential, sensitive
from parley_coordinator.protocols.secrets import Secrets
from parley_coordinator.workflow.errors import Standard, WorkflowError

from tests.coordinator.protocols.bench import PATIENT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "secrets"
    found.mkdir(mode=0o700)
    return found


def put(folder: Path, name: str, text: str, mode: int = 0o600) -> None:
    path = folder / name
    path.write_text(text, "utf-8")
    path.chmod(mode)


def refusal(secrets: Secrets, name: str) -> str:
    with pytest.raises(WorkflowError) as caught:
        secrets.get(name)
    assert caught.value.is_a(Standard.AUTHORIZATION)
    return caught.value.detail or ""


@pytest.mark.parametrize("most", [8, 12, 20, 23])
def test_what_is_left_of_a_secret_that_was_cut_off_is_hidden(most: int) -> None:
    shown = Redaction(["a-long-secret-value"]).text(told("no a-long-secret-value here", most))

    assert shown == "no ***…"


def test_a_secret_is_the_text_of_its_file(folder: Path) -> None:
    put(folder, "api-token", "abc def\n")

    assert Secrets(folder).get("api-token") == "abc def"


def test_a_file_with_an_object_gives_its_members(folder: Path) -> None:
    put(folder, "erp", '{"username": "ada", "password": "pa55"}')

    assert Secrets(folder).get("erp") == {"username": "ada", "password": "pa55"}


def test_a_file_that_changes_is_read_again_and_the_old_value_stays_confidential(
    folder: Path,
) -> None:
    secrets = Secrets(folder)
    put(folder, "token", "first-value")
    secrets.get("token")
    put(folder, "token", "second-value!")

    assert secrets.get("token") == "second-value!"
    assert set(secrets.values()) == {"first-value", "second-value!"}


@pytest.mark.parametrize(
    "name", ["../tokens", "a/b", ".", "..", "", "a.b", "/etc/passwd", "a\0b", "ä"]
)
def test_a_name_reaches_no_other_file(folder: Path, name: str) -> None:
    put(folder.parent, "tokens", "not a secret of workflows")

    assert "no name of a secret" in refusal(Secrets(folder), name)


def test_a_secret_that_is_not_there_is_told_with_the_setting(folder: Path) -> None:
    assert "PARLEY_SECRETS_DIR" in refusal(Secrets(folder), "missing")
    assert "PARLEY_SECRETS_DIR" in refusal(Secrets(folder / "nowhere"), "missing")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_file_that_others_may_open_is_refused(folder: Path, mode: int) -> None:
    put(folder, "token", "for-everybody", mode)

    assert "chmod 600" in refusal(Secrets(folder), "token")


def test_what_is_no_usable_secret_is_refused_without_showing_it(folder: Path) -> None:
    put(folder, "empty", "\n")
    put(folder, "broken", '{"password": "pa55"')
    put(folder, "long", "x" * 70_000)
    (folder / "folder").mkdir(mode=0o700)
    os.mkfifo(folder / "pipe", 0o600)

    for name in ("empty", "broken", "long", "folder", "pipe"):
        assert "pa55" not in refusal(Secrets(folder), name)


def test_of_an_authentication_only_what_is_secret_is_confidential() -> None:
    policy = {
        "scheme": "oauth2",
        "authority": "https://login.example.com",
        "client": {"id": "client-7", "secret": "s3cret", "authentication": "client_secret_post"},
        "scopes": ["read"],
        "request": {"encoding": "application/json"},
    }

    assert set(confidential(policy)) == {"s3cret"}


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("Authorization", True),
        ("x-api-key", True),
        ("apikey", True),
        ("Set-Cookie", True),
        ("access_token", True),
        ("author", False),
        ("content-type", False),
        ("etag", False),
    ],
)
def test_names_tell_what_is_likely_to_be_secret(name: str, hidden: bool) -> None:
    assert sensitive(name) is hidden


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)
SECRET = st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=4, max_size=20)


@PATIENT
@given(value=JSON, secret=SECRET, before=st.text(max_size=5), after=st.text(max_size=5))
def test_no_spelling_of_a_secret_survives(value: Any, secret: str, before: str, after: str) -> None:
    holder = {"a": [before + secret + after, {"b": value}], secret: json.dumps([secret])}

    found = Redaction([secret]).value(holder)

    assert secret not in _texts(found)
    assert HIDDEN in _texts(found)


@PATIENT
@given(value=JSON)
def test_without_secrets_nothing_changes(value: Any) -> None:
    assert Redaction([]).value(value) == value
    assert Redaction(["abc"]).value(value) == value


def _texts(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "\n".join(f"{_texts(k)}\n{_texts(v)}" for k, v in value.items())
    if isinstance(value, list):
        return "\n".join(map(_texts, value))
    return ""
