"""What was decided once stays decided: undo calls in loops, deadlines of loops, fair turns."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from parley_coordinator.model import Place
from parley_coordinator.workflow.compensation import handled_attempt
from parley_coordinator.workflow.effects import Call
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.machine import STEPS_IN_A_ROW

from tests.coordinator.workflow.scripted import Journal, Script, load, run
from tests.coordinator.workflow.test_resume import once_each

pytestmark = pytest.mark.anyio

ORDERS = """
do:
  - each:
      for: {each: n, in: "${ [1, 2, 3] }"}
      do:
        - order:
            try:
              - reserve: {call: "reserve:1.0.0@agents", with: {n: "${ $n }"}}
              - charge: {call: "charge:1.0.0@agents", with: {n: "${ $n }"}}
            catch:
              do:
                - release:
                    metadata: {compensates: reserve}
                    call: "release:1.0.0@agents"
                    with: {n: "${ $n }"}
"""


def shop(*, sold_out: int) -> Script:
    """Has everything but one order, and charges nobody."""

    def script(call: Call) -> Any:
        if call.function == "charge" or (call.function, call.arguments["n"]) == (
            "reserve",
            sold_out,
        ):
            raise WorkflowError(Standard.RUNTIME, "no")
        return {}

    return script


def released(journal: Journal) -> list[int]:
    return [call.arguments["n"] for call in journal.calls if call.function == "release"]


@pytest.mark.parametrize("sold_out", [1, 2, 3])
async def test_only_what_happened_in_the_same_iteration_is_undone(sold_out: int) -> None:
    smooth, bumpy = Journal(), Journal()
    await run(load(ORDERS), script=shop(sold_out=sold_out), journal=smooth)
    await run(load(ORDERS), script=shop(sold_out=sold_out), journal=bumpy, parks=once_each())

    assert released(smooth) == [n for n in (1, 2, 3) if n != sold_out]
    assert released(bumpy) == released(smooth)


@pytest.mark.parametrize(
    ("attempt", "handled"),
    [("1", "1"), ("1~2", "1"), ("1~2~1", "1~2"), ("1#2", "1#2"), ("1#2~1", "1#2")],
)
def test_an_undo_call_knows_the_attempt_of_its_try(attempt: str, handled: str) -> None:
    assert handled_attempt(Place(path="/do/0/a/catch/do/0/b", attempt=attempt)) == handled


@pytest.mark.parametrize(
    ("attempt", "held"), [("1#2", True), ("1#2.1", True), ("1#2#7", True), ("1#20", False)]
)
def test_an_attempt_holds_what_begins_within_it(attempt: str, held: bool) -> None:
    assert Place(path="/do", attempt="1#2").holds(attempt) is held


LONG = """
do:
  - safe:
      try:
        - limited:
            timeout: {after: {seconds: 100}}
            do:
              - each:
                  for: {each: n, in: "${ [range(150)] }"}
                  do:
                    - pause: {if: "${ $n < 100 }", wait: {seconds: 1}}
      catch:
        do:
          - late: {call: "late:1.0.0@agents"}
  - after: {call: "after:1.0.0@agents"}
"""


async def test_a_loop_that_ran_out_of_its_time_at_a_checkpoint_stays_so() -> None:
    smooth, bumpy = Journal(), Journal()
    await run(load(LONG), journal=smooth)
    await run(load(LONG), journal=bumpy, parks=once_each())

    assert smooth.functions() == ["late", "after"]
    assert bumpy.functions() == smooth.functions()


async def test_short_loops_within_loops_let_others_have_their_turn() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    nested = """
do:
  - outer:
      for: {in: "${ [range(20)] }"}
      do:
        - inner: {for: {in: "${ [range(20)] }"}, do: [{say: {set: {a: 1}}}]}
"""
    waiting = asyncio.create_task(others())
    await run(load(nested))
    waiting.cancel()

    assert turns > 400 // STEPS_IN_A_ROW // 2
