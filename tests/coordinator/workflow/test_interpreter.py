"""What each kind of task does, and the data flow around it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from parley_coordinator.model import Place
from parley_coordinator.workflow.effects import Call
from parley_coordinator.workflow.errors import BASE, Standard
from parley_coordinator.workflow.machine import in_words

from tests.coordinator.workflow.scripted import (
    STARTED,
    Journal,
    fault,
    load,
    run,
)

pytestmark = pytest.mark.anyio


async def test_set_replaces_the_output_and_nothing_is_merged() -> None:
    document = load("""
do:
  - one: {set: {a: 1, b: "${ .x }"}}
  - two: {set: {c: "${ .a + .b }"}}
""")

    assert await run(document, data={"x": 2}) == {"c": 3}


async def test_values_of_the_input_are_never_read_as_expressions() -> None:
    document = load('do: [{one: {set: {copy: "${ .text }"}}}, {two: {set: "${ .copy }"}}]')

    assert await run(document, data={"text": "${ $workflow.id }"}) == "${ $workflow.id }"


async def test_the_order_of_input_output_and_export_is_the_specified_one() -> None:
    document = load("""
input: {from: "${ .envelope }"}
do:
  - one:
      input: {from: "${ .a }"}
      set: {body: "${ . }", same: "${ $input }"}
      output: {as: "${ {out: .body, input: $input} }"}
      export: {as: "${ {kept: .out, output: $output} }"}
  - two:
      set: "${ [$context, .] }"
output: {as: "${ {result: ., context: $context.kept, id: $workflow.id} }"}
""")

    assert await run(document, data={"envelope": {"a": 7}}) == {
        "result": [{"kept": 7, "output": {"out": 7, "input": 7}}, {"out": 7, "input": 7}],
        "context": 7,
        "id": "run-1",
    }


async def test_the_context_starts_as_null_and_an_export_replaces_it() -> None:
    document = load("""
do:
  - one: {set: {before: "${ $context }"}, export: {as: {a: 1}}}
  - two: {set: {x: 1}, export: {as: {b: 2}}}
  - three: {set: "${ $context }"}
""")

    assert await run(document) == {"b": 2}


async def test_a_task_whose_condition_does_not_hold_hands_its_input_on_and_says_why() -> None:
    journal = Journal()
    document = load("""
do:
  - first: {set: {amount: 5}}
  - skipped: {if: .amount > 10, set: {amount: 0}, then: last}
  - jumped: {set: {amount: -1}}
  - last: {set: {got: "${ .amount }"}}
""")

    assert await run(document, journal=journal) == {"got": 5}
    assert journal.at("/do/1/skipped", "skipped") == {
        "when": ".amount > 10",
        "operands": [{"name": ".amount", "value": 5}],
    }


async def test_workflow_variables_tell_who_asked_and_when() -> None:
    document = load("""
do:
  - one:
      set:
        by: "${ $workflow.requestedBy }"
        at: "${ $workflow.startedAt.iso8601 }"
        seconds: "${ $workflow.startedAt.epoch.seconds }"
        name: "${ $workflow.definition.document.name }"
        task: "${ $task.name + $task.reference }"
        runtime: "${ $runtime.name }"
""")

    assert await run(document, requested_by="ada") == {
        "by": "ada",
        "at": "2026-01-05T09:00:00Z",
        "seconds": int(STARTED.timestamp()),
        "name": "example",
        "task": "one/do/0/one",
        "runtime": "parley",
    }


@pytest.mark.parametrize(
    ("amount", "case", "end"),
    [(5, "small", "low"), (50, "big", "high"), (500, "huge", "top"), (None, "huge", "top")],
)
async def test_a_switch_takes_the_first_case_that_holds_and_writes_down_why(
    amount: int | None, case: str, end: str
) -> None:
    journal = Journal()
    document = load("""
do:
  - choose:
      switch:
        - small: {when: '${ .amount != null and .amount < 10 }', then: low}
        - big: {when: '${ .amount != null and .amount < 100 }', then: high}
        - huge: {then: top}
  - low: {set: {is: low}, then: exit}
  - high: {set: {is: high}, then: exit}
  - top: {set: {is: top}}
""")

    assert await run(document, data={"amount": amount}, journal=journal) == {"is": end}

    chose = journal.at("/do/0/choose", "chose")
    assert chose is not None
    assert (chose["case"], chose["then"]) == (case, end)
    assert chose["operands"] == [{"name": ".amount", "value": amount}]


async def test_a_switch_without_a_match_goes_on_with_its_own_directive() -> None:
    document = load("""
do:
  - choose: {switch: [{never: {when: "false", then: missed}}], then: exit}
  - missed: {set: {missed: true}}
""")

    assert await run(document, data={"a": 1}) == {"a": 1}


async def test_end_finishes_the_workflow_from_any_depth() -> None:
    document = load("""
do:
  - outer:
      do:
        - inner: {try: [{deep: {set: {from: deep}, then: end}}], catch: {}}
  - never: {set: {from: never}}
output: {as: "${ {ended: .} }"}
""")

    assert await run(document) == {"ended": {"from": "deep"}}


async def test_exit_leaves_its_list_and_the_parent_goes_on() -> None:
    document = load("""
do:
  - outer: {do: [{a: {set: {n: 1}, then: exit}}, {b: {set: {n: 2}}}], then: last}
  - skipped: {set: {n: 3}}
  - last: {set: {seen: "${ .n }"}}
""")

    assert await run(document) == {"seen": 1}


async def test_an_unknown_flow_target_is_a_configuration_error() -> None:
    error = await fault("do: [{one: {set: {a: 1}, then: nowhere}}]")

    assert error.is_a(Standard.CONFIGURATION)
    assert error.instance == "/do/0/one"


async def test_a_call_gets_its_arguments_title_and_place() -> None:
    seen: list[Call] = []

    def script(call: Call) -> Any:
        seen.append(call)
        return {"ok": True}

    document = load("""
do:
  - postTheInvoice:
      call: post-invoice:1.2.0@agents
      with: {id: "${ .id }", fixed: [1, "${ .id }"]}
      timeout: {after: {minutes: 2}}
""")

    assert await run(document, data={"id": "R-1"}, script=script) == {"ok": True}
    assert seen == [
        Call(
            place=Place(path="/do/0/postTheInvoice"),
            function="post-invoice",
            version="1.2.0",
            catalog="agents",
            arguments={"id": "R-1", "fixed": [1, "R-1"]},
            deadline=STARTED + timedelta(minutes=2),
            title="Post the invoice",
        )
    ]


async def test_a_human_task_goes_to_people() -> None:
    document = load("""
do:
  - ask:
      metadata: {label: Somebody decides}
      call: human-task:1.0.0@parley
      with: {title: "Really?", candidates: ["role:approver"], outcomes: [yes], proposal: {action: x}}
      output: {as: .outcome}
""")
    journal = Journal()

    output = await run(document, script=lambda _: {"outcome": "yes"}, journal=journal)

    assert output == "yes"
    assert journal.calls[0].catalog == "parley"
    assert journal.calls[0].title == "Somebody decides"


async def test_a_wait_lasts_as_long_as_it_says() -> None:
    journal = Journal()
    document = load('do: [{pause: {wait: "${ .how }"}}, {done: {set: "${ . }"}}]')

    assert await run(document, data={"how": "PT90S"}, journal=journal) == {"how": "PT90S"}
    assert journal.now == STARTED + timedelta(seconds=90)


async def test_raise_faults_the_run_with_exactly_that_error() -> None:
    error = await fault(
        """
use:
  errors:
    rejected: {type: "https://example.com/rejected", status: 409, title: '${ "No, " + .who }'}
do:
  - stop: {raise: {error: rejected}}
""",
        data={"who": "Ada"},
    )

    assert error.as_json() == {
        "type": "https://example.com/rejected",
        "status": 409,
        "title": "No, Ada",
        "instance": "/do/0/stop",
    }


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("do: [{a: {set: {x: 1}, input: {schema: {document: {type: string}}}}}]", "input"),
        ("do: [{a: {set: {x: 1}, output: {schema: {document: {required: [y]}}}}}]", "output"),
        (
            "do: [{a: {set: {x: 1}, export: {as: ., schema: {document: {type: array}}}}}]",
            "context",
        ),
        ("input: {schema: {document: {type: string}}}\ndo: [{a: {set: {x: 1}}}]", "input"),
        ("output: {schema: {document: {type: string}}}\ndo: [{a: {set: {x: 1}}}]", "output"),
    ],
)
async def test_what_does_not_fit_a_schema_is_a_validation_error(text: str, title: str) -> None:
    error = await fault(text, data={})

    assert error.is_a(Standard.VALIDATION)
    assert title in error.title


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("do: [{a: {call: 'f:1.0.0@agents', with: '${ 7 }'}}]", "`with` must give an object"),
        ("do: [{a: {raise: {error: unknown}}}]", "`use.errors` has no 'unknown'"),
        ("do: [{a: {set: {x: 1}, timeout: unknown}}]", "`use.timeouts` has no 'unknown'"),
        ("do: [{a: {wait: '${ .no }'}}]", "a duration is"),
        (
            "do: [{a: {try: [{b: {set: {x: 1}}}], catch: {retry: unknown}}}]",
            "`use.retries` has no 'unknown'",
        ),
    ],
)
async def test_what_is_not_there_is_a_configuration_error(text: str, detail: str) -> None:
    error = await fault(text)

    assert error.is_a(Standard.CONFIGURATION)
    assert detail in (error.detail or "")


async def test_a_failing_expression_names_itself_and_its_task() -> None:
    error = await fault("do: [{a: {do: [{b: {set: '${ .x + 1 }'}}]}}]", data={"x": {}})

    assert error.type == BASE + "expression"
    assert error.instance == "/do/0/a/do/0/b"
    assert ".x + 1" in (error.detail or "")


@pytest.mark.parametrize(
    ("name", "said"),
    [("postTheInvoice", "Post the invoice"), ("post_invoice-2", "Post invoice 2"), ("ERP", "Erp")],
)
def test_a_task_without_a_label_is_called_by_its_name(name: str, said: str) -> None:
    assert in_words(name) == said
