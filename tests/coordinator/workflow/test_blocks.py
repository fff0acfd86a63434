"""Tasks that hold others: fork, try, limits in time, and loops."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from parley_coordinator.workflow.effects import Call, Parked
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.interpreter import RunInfo, interpret
from parley_coordinator.workflow.machine import MAX_VISITS

from tests.coordinator.workflow.scripted import (
    STARTED,
    Journal,
    MemoryEffects,
    Never,
    answering,
    failing,
    fault,
    load,
    run,
)

pytestmark = pytest.mark.anyio


async def test_a_fork_gives_an_array_in_declared_order() -> None:
    document = load("""
do:
  - both:
      fork:
        branches:
          - slow: {do: [{pause: {wait: PT5S}}, {say: {set: {n: 1}}}]}
          - fast: {set: {n: 2}}
""")

    assert await run(document) == [{"n": 1}, {"n": 2}]


async def test_branches_run_at_the_same_time() -> None:
    meeting = asyncio.Barrier(2)

    class Meeting(MemoryEffects):
        async def call(self, call: Call) -> Any:
            await meeting.wait()
            return await super().call(call)

    document = load("""
do:
  - both: {fork: {branches: [{a: {call: "f:1.0.0@agents"}}, {b: {call: "g:1.0.0@agents"}}]}}
""")
    info = RunInfo(id="r", input=None, started_at=STARTED, requested_by="x")

    async with asyncio.timeout(60):
        output = await interpret(document, info, Meeting(Journal()))

    assert output == [{"by": "f"}, {"by": "g"}]


FORK = """
do:
  - both:
      fork:
        branches:
          - a: {call: "f:1.0.0@agents"}
          - b: {call: "g:1.0.0@agents"}
          - c: {call: "h:1.0.0@agents"}
"""


async def test_a_failed_branch_waits_for_the_others_and_the_first_declared_failure_counts() -> None:
    journal = Journal()
    script = answering(
        {
            "f": {"ok": True},
            "g": WorkflowError(Standard.RUNTIME, "g failed"),
            "h": WorkflowError(Standard.RUNTIME, "h failed"),
        }
    )

    error = await fault(FORK, script=script, journal=journal)

    assert error.title == "g failed"
    assert error.instance == "/do/0/both/fork/branches/1/b"
    assert sorted(journal.functions()) == ["f", "g", "h"]
    assert journal.at("/do/0/both", "fork-failed") == {"branch": "b", "error": error.as_json()}


async def test_a_fork_that_failed_stays_failed_for_the_same_reason() -> None:
    """`a` is declared first, but fails only after the run went on from the failure of `b`."""
    journal = Journal()
    late = [True]

    def script(call: Call) -> Any:
        if call.function == "f" and late[0]:
            raise Never
        raise WorkflowError(Standard.RUNTIME, f"{call.function} failed")

    first = await fault(FORK, script=script, journal=journal)
    late[0] = False
    again = await fault(FORK, script=script, journal=journal)

    assert first.as_json() == again.as_json()
    assert first.title == "g failed"
    assert "f" not in journal.functions()


async def test_a_parked_branch_parks_the_run_after_the_others_are_done() -> None:
    journal = Journal()

    def script(call: Call) -> Any:
        if call.function == "f":
            raise Never
        return call.function

    with pytest.raises(Parked):
        await run(load(FORK), script=script, journal=journal)

    assert sorted(journal.functions()) == ["g", "h"]


async def test_a_defect_of_the_engine_is_not_an_error_of_the_run() -> None:
    def script(call: Call) -> Any:
        raise ZeroDivisionError(call.function)

    with pytest.raises(ZeroDivisionError):
        await run(load(FORK), script=script)


async def test_a_catch_sees_the_error_under_its_name_and_what_was_exported() -> None:
    journal = Journal()
    document = load("""
do:
  - guarded:
      try:
        - one: {set: {id: 7}, export: {as: "${ {undo: .id} }"}}
        - two: {raise: {error: {type: "https://example.com/e", status: 418, detail: teapot}}}
      catch:
        errors: {with: {status: 418}}
        as: trouble
        do:
          - handle: {set: {undo: "${ $context.undo }", why: "${ $trouble.detail }", was: "${ .n }"}}
""")

    output = await run(document, data={"n": 1}, journal=journal)

    assert output == {"undo": 7, "why": "teapot", "was": 1}
    caught = journal.at("/do/0/guarded", "caught")
    assert caught is not None
    assert caught["error"]["instance"] == "/do/0/guarded/try/1/two"


@pytest.mark.parametrize(
    ("catch", "caught"),
    [
        ("{}", True),
        ("{errors: {with: {type: https://serverlessworkflow.io/spec/1.0.0/errors/runtime}}}", True),
        (
            "{errors: {with: {type: https://open-workflow-specification.org/dsl/errors/types/runtime}}}",
            True,
        ),
        ("{errors: {with: {status: 404}}}", False),
        ('{when: "${ $error.status == 500 }"}', True),
        ('{exceptWhen: "${ $error.status == 500 }"}', False),
        ('{as: e, when: "${ $e.title == \\"x\\" }"}', False),
    ],
)
async def test_a_catch_takes_what_it_names_and_nothing_else(catch: str, caught: bool) -> None:
    text = f"""
do:
  - guarded: {{try: [{{one: {{call: "f:1.0.0@agents"}}}}], catch: {catch}}}
"""
    script = failing(Standard.RUNTIME, times=1)

    if caught:
        assert await run(load(text), data={"in": 1}, script=script) == {"in": 1}
    else:
        assert (await fault(text, script=script)).is_a(Standard.RUNTIME)


RETRY = """
do:
  - guarded:
      try: [{one: {call: "f:1.0.0@agents", with: {n: "${ .n }"}}}]
      catch:
        errors: {with: {type: https://serverlessworkflow.io/spec/1.0.0/errors/communication}}
        retry: POLICY
"""


def retrying(policy: str) -> str:
    return RETRY.replace("POLICY", policy)


async def test_a_retry_starts_over_with_the_original_input_and_numbers_its_attempts() -> None:
    journal = Journal()
    text = retrying(
        "{delay: {seconds: 2}, backoff: {exponential: {}}, limit: {attempt: {count: 3}}}"
    )

    output = await run(load(text), data={"n": 4}, script=failing(times=2), journal=journal)

    assert output == {"by": "f", "n": 4}
    place = "/do/0/guarded/try/0/one"
    assert list(journal.performed) == [(place, "1.1"), (place, "1.2"), (place, "1.3")]
    assert journal.now == STARTED + timedelta(seconds=2 + 4)
    retried = journal.at("/do/0/guarded", "retrying", "1.2")
    assert retried is not None
    assert retried["attempt"] == 2
    assert retried["until"] == (STARTED + timedelta(seconds=6)).isoformat()


@pytest.mark.parametrize(
    ("policy", "tries"),
    [
        ("{limit: {attempt: {count: 2}}}", 3),
        ("{delay: PT10S, limit: {duration: PT25S}}", 3),
        ("{delay: PT10S, backoff: {linear: {}}, limit: {duration: PT25S}}", 2),
        ("{delay: PT1S, jitter: {from: PT0S, to: PT2S}, limit: {duration: PT5S}}", 3),
        ('{when: "${ $error.status == 404 }", limit: {attempt: {count: 2}}}', 1),
        ('{exceptWhen: "${ $error.status == 500 }", limit: {attempt: {count: 2}}}', 1),
    ],
)
async def test_retries_end_and_then_the_last_error_counts(policy: str, tries: int) -> None:
    journal = Journal()

    error = await fault(retrying(policy), script=failing(times=99), journal=journal, data={})

    assert error.is_a(Standard.COMMUNICATION)
    assert sum(journal.performed.values()) == tries


async def test_an_error_outside_of_the_filter_is_not_retried() -> None:
    journal = Journal()
    text = retrying("{limit: {attempt: {count: 5}}}")

    error = await fault(text, script=failing(Standard.RUNTIME, times=9), journal=journal, data={})

    assert error.is_a(Standard.RUNTIME)
    assert len(journal.calls) == 1


async def test_a_delay_that_doubles_is_bounded() -> None:
    journal = Journal()
    policy = "{delay: {hours: 1}, backoff: {exponential: {}}, limit: {attempt: {count: 40}}}"

    await run(load(retrying(policy)), script=failing(times=40), journal=journal, data={})

    assert journal.now < STARTED + timedelta(days=40)


async def test_an_attempt_that_takes_too_long_is_tried_again() -> None:
    text = """
do:
  - guarded:
      try: [{one: {call: "f:1.0.0@agents"}}]
      catch: {retry: {limit: {attempt: {count: 1, duration: PT3S}}}}
"""
    journal = Journal()

    def script(call: Call) -> Any:
        if call.place.attempt == "1.1":
            raise Never
        return {"attempt": call.place.attempt}

    assert await run(load(text), script=script, journal=journal) == {"attempt": "1.2"}
    assert journal.now == STARTED + timedelta(seconds=3)


async def test_a_call_that_nobody_answers_times_out_at_its_own_deadline() -> None:
    text = """
do:
  - ask:
      try: [{one: {call: "f:1.0.0@agents", timeout: {after: {hours: 1}}}}]
      catch:
        errors: {with: {type: https://serverlessworkflow.io/spec/1.0.0/errors/timeout}}
        do: [{late: {set: {late: true}}}]
"""
    journal = Journal()

    def script(call: Call) -> Any:
        raise Never(call)

    assert await run(load(text), script=script, journal=journal) == {"late": True}
    assert journal.now == STARTED + timedelta(hours=1)


async def test_no_catch_inside_takes_the_timeout_of_what_is_around_it() -> None:
    text = """
use: {timeouts: {short: {after: {minutes: 1}}}}
do:
  - outer:
      try:
        - limited:
            timeout: short
            do:
              - inner:
                  try: [{one: {call: "f:1.0.0@agents", timeout: {after: {hours: 1}}}}]
                  catch: {do: [{wrong: {set: {who: inner}}}]}
      catch: {as: e, do: [{right: {set: {who: outer, at: "${ $e.instance }"}}}]}
"""
    journal = Journal()

    def script(call: Call) -> Any:
        raise Never(call)

    output = await run(load(text), script=script, journal=journal)

    assert output == {"who": "outer", "at": "/do/0/outer/try/0/limited"}
    assert journal.now == STARTED + timedelta(minutes=1)
    assert journal.at("/do/0/outer/try/0/limited", "expired") is not None


async def test_a_timeout_reaches_waits_retries_and_branches() -> None:
    journal = Journal()
    text = """
do:
  - outer:
      timeout: {after: PT10S}
      fork:
        branches:
          - waits: {wait: PT1H}
          - calls:
              try: [{one: {call: "f:1.0.0@agents"}}]
              catch: {retry: {delay: PT6S, limit: {attempt: {count: 9}}}}
"""

    error = await fault(text, script=failing(times=99), journal=journal)

    assert error.is_a(Standard.TIMEOUT)
    assert (error.status, error.instance) == (408, "/do/0/outer")
    assert journal.now == STARTED + timedelta(seconds=10)
    assert len(journal.calls) == 2


async def test_the_timeout_of_the_workflow_faults_the_run() -> None:
    error = await fault(
        "timeout: {after: PT1M}\ndo: [{a: {try: [{pause: {wait: PT1H}}], catch: {}}}]"
    )

    assert error.is_a(Standard.TIMEOUT)
    assert error.instance == ""


async def test_going_back_numbers_the_visits_and_ends_some_time() -> None:
    document = load("""
do:
  - start: {set: {n: 0}}
  - call: {call: "f:1.0.0@agents", with: {n: "${ .n + 1 }"}}
  - again:
      switch: [{more: {when: '${ .n < 3 }', then: call}}, {enough: {then: exit}}]
""")
    journal = Journal()

    assert await run(document, journal=journal) == {"by": "f", "n": 3}
    assert [attempt for _path, attempt in journal.performed] == ["1", "1~2", "1~3"]


async def test_an_endless_loop_is_an_error() -> None:
    journal = Journal()

    error = await fault("do: [{a: {call: 'f:1.0.0@agents', then: a}}]", journal=journal)

    assert error.title == "Endless loop"
    assert len(journal.calls) == MAX_VISITS


async def test_visits_of_nested_lists_never_share_an_attempt() -> None:
    document = load("""
do:
  - init: {set: {outer: 0}, export: {as: {outer: 0, inner: 0}}}
  - outer:
      do:
        - reset: {set: {x: 0}, export: {as: "${ {outer: ($context.outer + 1), inner: 0} }"}}
        - inner:
            call: f:1.0.0@agents
            export: {as: "${ {outer: $context.outer, inner: ($context.inner + 1)} }"}
        - more: {switch: [{yes: {when: "${ $context.inner < 3 }", then: inner}}, {no: {then: exit}}]}
  - more: {switch: [{yes: {when: "${ $context.outer < 3 }", then: outer}}, {no: {then: exit}}]}
""")
    journal = Journal()

    await run(document, journal=journal)

    assert len(journal.performed) == 9
    assert set(journal.performed.values()) == {1}


async def test_cancelling_an_interpretation_cancels_its_branches() -> None:
    begun, ended = asyncio.Event(), []

    class Hanging(MemoryEffects):
        async def call(self, call: Call) -> Any:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(call.function)

    info = RunInfo(id="r", input=None, started_at=STARTED, requested_by="x")
    task = asyncio.create_task(interpret(load(FORK), info, Hanging(Journal())))
    async with asyncio.timeout(60):
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert sorted(ended) == ["f", "g", "h"]
