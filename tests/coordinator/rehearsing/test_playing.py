"""Runs of cases: who answers what, when, and what is held against it."""

from __future__ import annotations

import pytest
from parley_coordinator.rehearsing.playing import play

from tests.coordinator.rehearsing.kit import FUNCTIONS, cases, run, run_one, told, workflow

pytestmark = pytest.mark.anyio

QUOTE = workflow("""
do:
  - first: {call: "quote:1.0.0@agents", with: {amount: "${ .amount }"}, timeout: {after: {hours: 1}}}
output: {as: "${ {price: .price} }"}
""")
RETRIED = workflow("""
do:
  - loop:
      try:
        - first: {call: "quote:1.0.0@agents", with: {amount: 1}, timeout: {after: {hours: 1}}}
      catch:
        errors: {with: {type: "https://serverlessworkflow.io/spec/1.0.0/errors/communication"}}
        retry: {delay: {minutes: 1}, limit: {attempt: {count: 2}}}
""")


async def test_an_answer_is_given_and_the_output_may_have_more_than_expected() -> None:
    result = await run(
        QUOTE,
        """
        case: x
        input: {amount: 1}
        agents: {quote: {output: {price: 7, note: fine}}}
        expect: {output: {}, calls: [{skill: quote, with: {amount: 1}}], took: PT0S}
        """,
    )

    assert result.passed
    assert result.warnings == []


async def test_a_value_that_differs_is_told_with_where_it_is() -> None:
    result = await run(
        QUOTE,
        """
        case: x
        input: {amount: 1}
        agents: {quote: {output: {price: 7}}}
        expect:
          outputExactly: {}
          calls: [{task: first, with: {amount: true}}]
          notCalled: [quote]
          took: PT1S
        """,
    )

    assert told(result)["output.price"][1] == 7
    assert told(result)["calls[0].with.amount"] == (True, 1)
    assert told(result)["notCalled: quote"] == ("no call", "a call")
    assert told(result)["took"] == ("1 second", "0 seconds")
    assert not result.passed


async def test_the_answer_for_a_task_is_preferred_to_that_for_its_skill() -> None:
    result = await run(
        QUOTE,
        """
        case: x
        agents: {quote: {output: {price: 1}}, first: {output: {price: 2}}}
        expect: {output: {price: 2}}
        """,
    )

    assert result.passed
    assert result.warnings == ["agents.quote was never used"]


async def test_a_list_is_answered_in_turn_each_as_often_as_it_says() -> None:
    result = await run(
        RETRIED,
        """
        case: x
        agents:
          quote:
            - {error: {type: communication}, times: 2}
            - {output: {price: 2}, after: {seconds: 5}}
        expect: {output: {price: 2}, calls: [quote, quote, quote], took: {minutes: 2, seconds: 5}}
        """,
    )

    assert result.passed


async def test_a_call_without_an_answer_fails_the_case_and_names_skill_and_task() -> None:
    nobody = await run(QUOTE, "case: x\nexpect: {state: completed}")
    once = await run(
        RETRIED,
        """
        case: x
        agents: {quote: [{error: {type: communication}}]}
        expect: {state: completed}
        """,
    )

    assert nobody.problems == [
        "agents: the task 'first' asks (skill quote:1.0.0), and nobody has an answer"
    ]
    assert once.problems == [
        "agents: the task 'first' asks (skill quote:1.0.0) once more, and there are only 1 answer"
    ]
    assert once.as_json()["state"] is None


async def test_what_is_scripted_and_not_used_is_a_warning_unless_that_is_allowed() -> None:
    text = """
        case: x
        agents: {quote: [{output: {price: 2}}, {output: {price: 3}, times: 2}]}
        expect: {state: completed}
        """
    warned = await run(QUOTE, text)
    allowed = await run(QUOTE, text + "unused: allow\n")

    assert warned.passed
    assert warned.warnings == ["agents.quote, answer 2 was never used"]
    assert allowed.warnings == []


async def test_a_silent_agent_is_waited_for_until_the_deadline() -> None:
    result = await run(
        QUOTE,
        """
        case: x
        agents: {quote: {silent: true}}
        expect: {error: {type: timeout, status: 408, instance: /do/0/first}, took: {hours: 1}}
        """,
    )

    assert result.passed


async def test_an_error_is_what_the_callee_says_and_may_come_later() -> None:
    result = await run(
        QUOTE,
        """
        case: x
        agents:
          quote: {error: {type: "https://example.com/e", title: no, status: 418}, after: PT9M}
        expect: {error: {type: "https://example.com/e", title: no, status: 418}, took: PT9M}
        """,
    )

    assert result.passed


async def test_a_case_may_not_promise_what_no_agent_can_deliver() -> None:
    result = await run(
        QUOTE,
        "case: x\nagents: {quote: {output: {cost: 1}}}\nexpect: {state: completed}",
    )

    assert "breaks the contract of quote:1.0.0" in result.problems[0]
    assert "lacks 'price'" in result.problems[0]


async def test_an_output_outside_of_the_contract_is_an_error_as_in_the_real_engine() -> None:
    broken = await run(
        QUOTE,
        """
        case: x
        agents: {quote: {outsideContract: {cost: 1}}}
        expect: {error: {type: runtime, status: 502, detail: "the value lacks 'price'"}}
        """,
    )
    fitting = await run(
        QUOTE, "case: x\nagents: {quote: {outsideContract: {price: 1}}}\nexpect: {state: faulted}"
    )

    assert broken.passed
    assert "is within the contract" in fitting.problems[0]


async def test_arguments_that_do_not_fit_are_an_error_before_anybody_is_asked() -> None:
    result = await run(
        QUOTE,
        """
        case: x
        input: {amount: much}
        agents: {quote: {output: {price: 1}}}
        expect: {error: {type: validation, title: "the arguments do not fit quote:1.0.0"}}
        """,
    )

    assert result.passed
    assert result.warnings == ["agents.quote was never used"]


async def test_an_input_that_does_not_fit_starts_nothing() -> None:
    document = workflow("""
        input: {schema: {document: {type: object, required: [amount]}}}
        do: [{one: {set: {a: 1}}}]
        """)
    result = await run(
        document, "case: x\nexpect: {state: refused, error: {type: validation}, tasks: [one]}"
    )

    assert told(result).keys() == {"tasks[0]"}


async def test_a_run_without_a_deadline_waits_for_ever_and_says_for_what() -> None:
    document = workflow('do: [{pause: {call: "order:1.0.0@agents", metadata: {label: Order it}}}]')
    result = await run(
        document, "case: x\nagents: {order: {silent: true}}\nexpect: {state: completed}"
    )

    assert told(result) == {"state": ("completed", "waiting")}
    assert result.as_json()["standing"] == ["Order it (/do/0/pause)"]


async def test_events_arrive_at_their_time_and_those_that_are_published_are_held_against() -> None:
    document = workflow("""
        do:
          - tell: {emit: {event: {with: {type: asked.v1, source: /me, data: {n: 1}}}}}
          - hear: {listen: {to: {one: {with: {type: paid.v1}}}}, timeout: {after: {hours: 9}}}
        """)
    result = await run(
        document,
        """
        case: x
        events:
          - {after: PT2H, event: {type: paid.v1, source: /bank, data: {paid: 5}}}
          - {after: PT1H, event: {type: noise.v1, source: /bank}}
        expect:
          output: [{paid: 5}]
          emitted: [{type: asked.v1, data: {n: 1}}]
          took: PT2H
        """,
    )

    assert result.passed, told(result)
    assert result.warnings == ["events.noise.v1, event 2 was never used"]


async def test_protocols_and_other_workflows_are_answered_by_the_name_of_the_task() -> None:
    document = workflow("""
        do:
          - fetch: {call: http, with: {method: get, endpoint: "https://example.com/{id}"}}
          - child:
              run: {workflow: {namespace: test, name: other, version: "1.0.0", input: "${ .id }"}}
        """)
    result = await run(
        document,
        """
        case: x
        input: {id: 7}
        protocols: {fetch: {output: {id: 8}}}
        workflows: {other: {error: {type: authorization}}}
        expect:
          error: {type: authorization, instance: /do/1/child}
          calls:
            - {protocol: http, with: {method: GET, endpoint: "https://example.com/7"}}
            - {workflow: other, with: 8}
        """,
    )

    assert result.passed, (told(result), result.problems)


async def test_secrets_are_those_of_the_case() -> None:
    document = workflow("""
        use: {secrets: [key]}
        do: [{one: {input: {from: "${ {key: $secrets.key} }"}, set: "${ .key }"}}]
        """)

    known = await run(document, "case: x\nsecrets: {key: s3}\nexpect: {output: s3}")
    unknown = await run(document, "case: x\nexpect: {error: {type: authorization}}")

    assert known.passed
    assert unknown.passed


async def test_an_undo_call_that_fails_waits_for_an_operator() -> None:
    document = workflow("""
        do:
          - buy:
              try:
                - pay: {call: "order:1.0.0@agents"}
                - send: {call: "quote:1.0.0@agents"}
              catch:
                do: [{back: {call: "undo:1.0.0@agents", metadata: {compensates: pay}}}]
        """)
    result = await run(
        document,
        """
        case: x
        agents:
          order: {output: 1}
          quote: {error: {type: runtime}}
          undo: {error: {type: runtime}}
        expect: {state: waiting, calls: [order, quote, undo]}
        """,
    )

    assert result.passed, told(result)


async def test_a_function_of_the_document_is_answered_by_the_name_of_its_caller() -> None:
    document = workflow("""
        use: {functions: {price: {call: "quote:1.0.0@agents", with: {amount: 1}}}}
        do: [{one: {call: price}}, {two: {call: price}}]
        """)
    result = await run(
        document,
        """
        case: x
        agents: {one: {output: {price: 1}}, price: {output: {price: 2}}}
        expect: {output: {price: 2}, calls: [{task: one}, {task: two}], tasks: [one, price, two]}
        """,
    )

    assert result.passed, (told(result), result.problems)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agents: {qoute: {output: 1}}", "x.case.yaml:3:10: nothing in the workflow asks 'qoute'"),
        ("people: {first: {silent: true}}", "asks 'first' among its people"),
        ("protocols: {first: {output: 1}}", "asks 'first' among its protocols"),
        ("workflows: {other: {output: 1}}", "asks 'other' among its workflows"),
    ],
)
async def test_a_name_that_means_nothing_is_told_before_anything_runs(
    text: str, message: str
) -> None:
    result = await run(QUOTE, f"case: x\nexpect: {{state: completed}}\n{text}")

    assert message in result.problems[0]
    assert result.played is None


@pytest.mark.parametrize(
    "expect",
    [
        "tasks: [frist]",
        "calls: [qoute]",
        "notCalled: [x]",
        "asked: [{task: x}]",
        "calls: [{task: x}]",
    ],
)
async def test_an_expectation_about_what_is_not_there_is_no_expectation(expect: str) -> None:
    result = await run(QUOTE, f"case: x\nexpect: {{{expect}}}")

    assert "the workflow has no" in result.problems[0]


async def test_calls_and_questions_that_are_too_few_or_others_are_told_by_name() -> None:
    result = await run(
        QUOTE,
        """
        case: x
        agents: {quote: {output: {price: 1}}}
        expect: {calls: [quote, {task: first}], asked: [{}], emitted: [{}], tasks: [first, first]}
        """,
    )

    assert told(result)["calls"] == (["quote", "task first"], ["quote"])
    assert told(result)["asked"] == (["a question"], [])
    assert "emitted[0]" in told(result)
    assert told(result)["tasks[1]"][0] == "first"


async def test_an_endless_run_is_no_endless_test() -> None:
    document = workflow("""
        do:
          - loop:
              for: {each: n, in: "${ [range(100)] }"}
              do: [{pause: {wait: {seconds: 1}}}]
        """)
    (case,) = cases("case: x\nexpect: {state: faulted}")
    played = await play(case, document, FUNCTIONS, most=50)

    assert played.error is not None
    assert played.error.title == "Endless run"
    assert played.took.total_seconds() == 50


async def test_the_clock_does_not_leave_the_calendar() -> None:
    result = await run(
        QUOTE,
        """
        case: x
        started: 9999-12-31T23:59:59Z
        agents: {quote: {output: {price: 1}, after: P1D}}
        expect: {state: completed}
        """,
    )

    assert result.problems == ["the clock of the rehearsal left the calendar"]


async def test_the_same_case_comes_to_the_same_again() -> None:
    (case,) = cases(
        """
        case: x
        agents: {quote: [{error: {type: communication}}, {output: {price: 2}}]}
        expect: {output: {price: 2}}
        """
    )

    first, second = await run_one(RETRIED, case), await run_one(RETRIED, case)

    assert first.passed
    assert first.as_json() == second.as_json()
