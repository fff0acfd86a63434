"""What people read."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.cli.output import WIDTH, clean, short, span
from parley_coordinator.cli.why import place, print_why
from rich.console import Console

DIGEST = "sha256:" + "ab" * 32


def step(kind: str, title: str, at: str, **more: Any) -> dict[str, Any]:
    return {
        "path": "/do/2/match/try/0/matchInvoice",
        "attempt": "1",
        "kind": kind,
        "at": f"2026-11-23T04:05:{at}.000001Z",
        "title": title,
        "rule": "",
        "facts": [],
        "agent": {},
        "person": {},
    } | more


def why(**run: Any) -> dict[str, Any]:
    return {
        "run": {
            "id": "0a4a8f51-3c53-5a1c-9d5c-0a8a6a1f2b11",
            "workflow": "invoice-exception",
            "version": "1.0.0",
            "digest": DIGEST,
            "state": "completed",
            "waitingFor": [],
            "requestedBy": "requester",
            "createdAt": "2026-11-23T04:05:00Z",
            "updatedAt": "2026-11-23T04:05:59.500000Z",
            "error": None,
            "output": {"invoice": "NW-1", "decision": "approve", "posting": {"status": "posted"}},
        }
        | run,
        "steps": [
            step("started", "requester started invoice-exception 1.0.0", "00", path=""),
            step(
                "called",
                "Three-way match: the price is above the order's",
                "10",
                rule="price-tolerance",
                facts=[
                    {
                        "name": "price-tolerance: FAILED",
                        "value": "89.60 a piece is 12 % above 80.00",
                        "source": "rule",
                    },
                    {"name": "unit price", "value": "89.60", "source": "erp:ap.invoice.get/7"},
                    {"name": "ordered price", "value": "80.00", "source": "erp:ap.order.get/PO-1"},
                ],
                agent={
                    "name": "matching",
                    "version": "1.2.3",
                    "skill": "match-invoice:1.0.0",
                    "card": DIGEST,
                    "task": "t1",
                    "chosen": {
                        "rule": "alive, least busy, by name",
                        "candidates": [
                            {"name": "matching", "version": "1.2.3", "health": "up", "taken": True},
                            {"name": "other", "version": "0.9", "health": "down", "taken": False},
                        ],
                    },
                },
            ),
            step(
                "decided",
                "approver decided: approve",
                "40",
                path="/do/6/ask/try/0/approval",
                person={
                    "subject": "approver",
                    "outcome": "approve",
                    "comment": "agreed by phone",
                    "digest": DIGEST,
                    "at": "2026-11-23T04:05:40Z",
                },
            ),
        ],
    }


def printed(value: dict[str, Any]) -> str:
    stream = io.StringIO()
    print_why(value, Console(file=stream, width=WIDTH, highlight=False, emoji=False))
    return stream.getvalue()


def test_an_explanation_names_path_rule_values_sources_agent_and_person_in_order() -> None:
    text = printed(why())

    expected = [
        "Why invoice-exception 1.0.0 is completed",
        "requested by requester",
        "04:05:10",
        "Three-way match: the price is above the order's",
        "called at match > matchInvoice",
        "price-tolerance",
        "unit price",
        "89.60",
        "erp:ap.invoice.get/7",
        "matching 1.2.3, skill match-invoice:1.0.0, card abababababab",
        "alive, least busy, by name; passed over: other 0.9 (down)",
        "04:05:40",
        "decided at ask > approval",
        "approver: approve",
        "agreed by phone",
        "exactly the proposal abababababab",
        "Result",
        "NW-1",
    ]
    at = 0
    for each in expected:
        at = text.index(each, at)


def test_every_line_fits_a_hundred_columns() -> None:
    long = why()
    long["steps"][1]["facts"] += [
        {"name": "n" * 80, "value": "v" * 1000, "source": "s" * 90},
        {"name": "list", "value": ["x" * 50] * 10, "source": "input"},
    ]
    long["steps"][1]["title"] = "word " * 60

    assert max(map(len, printed(long).splitlines())) <= WIDTH


def test_what_others_wrote_is_shown_and_not_obeyed() -> None:
    hostile = why()
    hostile["steps"][1]["title"] = "\x1b[2J\x1b]0;owned\x07 [bold red]no[/] \u202eevil"
    hostile["steps"][2]["person"]["comment"] = "a\rb\x9b31m"

    text = printed(hostile)

    assert "\x1b" not in text
    assert "\x9b" not in text
    assert "\u202e" not in text
    assert "\\u001b[2J" in text
    assert "[bold red]no[/]" in text


def test_a_run_that_waits_or_stopped_says_for_what_and_why() -> None:
    waiting = printed(
        why(
            state="waiting",
            output=None,
            waitingFor=[{"kind": "item", "item": "it-1", "since": "2026-11-23T04:05:20Z"}],
        )
    )
    stopped = printed(
        why(
            state="faulted",
            output=None,
            error={"title": "the agent failed", "detail": "no such order", "type": "x"},
        )
    )

    assert "Waits for a person: item it-1 since 04:05:20 UTC" in waiting
    assert "Result" not in waiting
    assert "Stopped: the agent failed, no such order" in stopped


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("", ""),
        ("/do/0/capture", "capture"),
        ("/do/0/capture/try/0/captureInvoice", "capture > captureInvoice"),
        ("/do/1/gather/fork/branches/0/order/try/0/get", "gather > order > get"),
        ("/do/6/ask/catch/do/0/escalation", "ask > escalation"),
        ("/do/0/do", "do"),
        ("/do/0/a~1b", "a/b"),
    ],
)
def test_a_place_is_the_names_of_the_tasks(path: str, names: str) -> None:
    assert place(path) == names


@given(st.text())
def test_clean_text_has_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = clean(text)

    assert not any(
        (ord(char) < 32 and char not in "\t\n") or 127 <= ord(char) < 160 for char in shown
    )
    assert not set("\u202a\u202e\u2066\u2069\u200f") & set(shown)


def test_spans_and_digests_are_short() -> None:
    assert span("2026-11-23T04:05:00Z", "2026-11-23T04:05:02.340Z") == "2.3 s"
    assert span("2026-11-23T04:05:00Z", "2026-11-23T07:05:02Z") == "3 h"
    assert short(DIGEST) == "abababababab"
