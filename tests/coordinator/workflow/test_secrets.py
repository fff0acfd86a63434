"""Secrets in a run: who sees them, and that no error and no output tells them."""

from __future__ import annotations

from typing import Any

import pytest
from parley_coordinator.workflow.effects import Request
from parley_coordinator.workflow.errors import Standard, WorkflowError

from tests.coordinator.workflow.scripted import Asked, Journal, fault, load, run

pytestmark = pytest.mark.anyio

SECRET = "very-secret-token"
POLICY = """
use: {secrets: [api]}
do:
  - get:
      call: http
      with: {method: get, endpoint: {uri: "https://example.com/", authentication: {POLICY}}}
      timeout: {after: PT5S}
"""
GIVEN = """
use: {secrets: [api]}
do:
  - get:
      input: {from: {key: "${ $secrets.api }"}}
      call: http
      with: {method: get, endpoint: "https://example.com/", query: {key: "${ .key }"}}
      timeout: {after: PT5S}
      MORE
"""
SKIPPED = """
use:
  secrets: [api]
  functions:
    remove:
      if: ${ false }
      call: http
      with: {method: delete, endpoint: "https://example.com/"}
      timeout: {after: PT5S}
do:
  - order:
      try:
        - pay:
            call: http
            with: {method: post, endpoint: "https://example.com/"}
            timeout: {after: PT5S}
      catch: {do: [{undo: HANDLER}]}
"""
UNDO = """{
  metadata: {compensates: pay},
  input: {from: {key: "${ $secrets.api }"}},
  call: http,
  with: {method: delete, endpoint: "https://example.com/", query: {key: "${ .key }"}},
  output: {as: {gone: "${ .id }"}}, export: {as: "${ . }"},
  timeout: {after: PT5S}
}"""


def down(_asked: Asked) -> Any:
    raise WorkflowError(Standard.COMMUNICATION, "It is down")


def told(error: WorkflowError) -> str:
    return f"{error.as_json()} {error!s} {error.__cause__}"


@pytest.mark.parametrize(
    "policy",
    [
        'bearer: {token: "${ $secrets.api | tonumber }"}',
        'bearer: {token: "${ $secrets.api + 1 }"}',
        'bearer: {token: "${ $secrets.api | @base64 | error }"}',
        'basic: {username: "${ $secrets.api.user }", password: x}',
    ],
)
async def test_an_expression_that_fails_on_a_secret_does_not_tell_it(policy: str) -> None:
    error = await fault(POLICY.replace("POLICY", policy), secrets={"api": SECRET})

    assert error.is_a(Standard.EXPRESSION)
    assert error.detail is not None
    assert error.detail.endswith("it fails on what is secret")
    assert "secret-" not in told(error)
    assert "dmVy" not in told(error)


@pytest.mark.parametrize(
    "task",
    [
        'input: {from: "${ $secrets.api | tonumber }"}',
        'input: {from: "${ $secrets.api }"}\n      output: {as: "${ .x | tonumber }"}',
        'input: {from: "${ $secrets.api }"}\n      with: {query: "${ . | tonumber }"}',
        'input: {from: "${ $secrets.api }"}\n      with: {headers: {a: "${ $input.a }"}}',
        'input: {from: "${ $secrets.api }"}\n      timeout: {after: "${ . }"}',
    ],
)
async def test_no_error_of_a_task_that_was_given_a_secret_tells_it(task: str) -> None:
    where = "" if "timeout" in task else "timeout: {after: PT5S}"
    target = "method: get, endpoint: https://example.com/"
    if "with: {" in task:
        task = task.replace("with: {", f"with: {{{target}, ")
    else:
        task += f"\n      with: {{{target}}}"
    text = f"use: {{secrets: [api]}}\ndo:\n  - a:\n      call: http\n      {task}\n      {where}\n"

    error = await fault(text, secrets={"api": SECRET}, script=lambda _asked: {"x": "text"})

    assert error.instance == "/do/0/a"
    assert "secret-" not in told(error)


async def test_an_expression_that_knows_no_secret_still_says_why_it_failed() -> None:
    error = await fault('do: [{a: {set: "${ \\"text\\" | tonumber }"}}]')

    assert error.detail is not None
    assert "cannot be parsed" in error.detail


@pytest.mark.parametrize(
    ("scheme", "secret", "missing"),
    [
        ("basic", SECRET, "username, password"),
        ("basic", [SECRET], "username, password"),
        ("basic", {"username": SECRET}, "password"),
        ("bearer", 7, "token"),
        ("bearer", {"token": [SECRET]}, "token"),
        ("oauth2", SECRET, "authority, client.id"),
        ("oauth2", {"authority": "https://a", "client": SECRET}, "client.id"),
        ("oauth2", {"authority": "https://a", "client": None}, "client.id"),
        ("oauth2", {"authority": "https://a", "client": {"id": ""}}, "client.id"),
        ("oauth2", {"client": {"id": SECRET}}, "authority"),
    ],
)
async def test_a_secret_without_its_members_is_an_error_that_names_them(
    scheme: str, secret: Any, missing: str
) -> None:
    text = POLICY.replace("POLICY", f"{scheme}: {{use: api}}")

    error = await fault(text, secrets={"api": secret})

    assert error.is_a(Standard.AUTHORIZATION)
    assert (error.title, error.detail) == (
        "The credentials are not complete",
        f"missing: {missing}",
    )
    assert error.instance == "/do/0/get"


@pytest.mark.parametrize("key", ["output", "export"])
async def test_the_transformed_input_is_not_in_scope_behind_a_task_that_knows_a_secret(
    key: str,
) -> None:
    text = GIVEN.replace("MORE", f"{key}: {{as: '${{ {{k: $input.key}} }}'}}")

    error = await fault(text, secrets={"api": SECRET})

    assert error.is_a(Standard.EXPRESSION)
    assert "secret-" not in told(error)


async def test_the_raw_input_is_in_scope_there_and_the_request_has_the_secret() -> None:
    journal, given = Journal(), GIVEN.replace("MORE", 'output: {as: "${ $task.input }"}')

    output = await run(load(given), data={"n": 1}, secrets={"api": SECRET}, journal=journal)

    (asked,) = journal.asked
    assert isinstance(asked, Request)
    assert asked.arguments["query"] == {"key": SECRET}
    assert output == {"n": 1}


async def test_an_undo_call_that_is_skipped_hands_its_raw_input_on_and_exports_nothing() -> None:
    document = load(SKIPPED.replace("HANDLER", UNDO) + "  - last: {set: '${ [., $context] }'}\n")

    output = await run(document, data={"n": 1}, script=down, secrets={"api": SECRET})

    assert output == [{"n": 1}, None]


async def test_a_call_of_a_function_that_is_skipped_is_skipped() -> None:
    handler = "{call: remove, with: {key: 1}, output: {as: {gone: 1}}, export: {as: 2}}"
    document = load(SKIPPED.replace("HANDLER", handler) + "  - last: {set: '${ [., $context] }'}\n")

    output = await run(document, data={"n": 1}, script=down)

    assert output == [{"n": 1}, None]


async def test_an_undo_call_that_is_skipped_does_not_look_at_what_never_came() -> None:
    undo = """{
      metadata: {compensates: pay}, call: "refund:1.0.0@agents",
      with: {id: "${ $context.paid.id | ascii_downcase }"}}"""

    document = load(SKIPPED.replace("HANDLER", undo))

    assert await run(document, data={"n": 1}, script=down) == {"n": 1}
