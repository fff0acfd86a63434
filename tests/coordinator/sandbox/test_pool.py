"""Programs in workers: what they may take, and that nothing else suffers. Real processes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import jq
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_coordinator.sandbox.limits import Limits
from parley_coordinator.sandbox.pool import JqPool
from parley_coordinator.workflow.expressions import Expressions, LimitError

from tests.coordinator.sandbox.pools import ENDLESS, pool

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

RUNAWAYS = (ENDLESS, "last(range(1e12))", "[range(1e9)]", "[limit(1e9; repeat(1))]")


@pytest.mark.parametrize("program", RUNAWAYS)
async def test_a_runaway_is_stopped_and_the_next_program_runs(program: str) -> None:
    async with pool(1) as jq_pool:
        with pytest.raises(LimitError):
            await jq_pool.first(program, None)

        assert await jq_pool.first(".a", {"a": 1}) == 1


@pytest.mark.parametrize(
    "program", ['"a" * 1e9 | length', "reduce range(1000000) as $i (.; [., .])"]
)
async def test_a_memory_eater_is_stopped_and_this_process_stays_flat(program: str) -> None:
    process = psutil.Process()
    async with pool(1, Limits(cpu_s=5)) as jq_pool:
        await jq_pool.first(".", 1)
        before = process.memory_info().rss
        for _ in range(2):
            with pytest.raises(LimitError):
                await jq_pool.first(program, None)

        assert process.memory_info().rss - before < 32 << 20
        assert await jq_pool.first(".", 1) == 1


async def test_an_output_that_is_too_large_fails_its_own_call() -> None:
    async with pool(1) as jq_pool:
        with pytest.raises(LimitError, match="output is larger"):
            await jq_pool.first('"a" * 3000000', None)

        assert await jq_pool.first('"a" * 3', None) == "aaa"


@pytest.mark.parametrize("levels", [101, 900, 20_000])
async def test_an_output_that_is_nested_too_deep_fails_its_own_call(levels: int) -> None:
    async with pool(1) as jq_pool:
        with pytest.raises(LimitError, match="more than 100 levels deep"):
            await jq_pool.first(f"reduce range({levels}) as $i (1; [.])", None)

        assert await jq_pool.first("reduce range(100) as $i (1; [.]) | flatten", None) == [1]
        assert str(await jq_pool.first("reduce range(100) as $i (1; [.])", None)).count("[") == 100


async def test_an_input_that_is_too_large_is_not_sent() -> None:
    async with pool(1, Limits(input_bytes=1000)) as jq_pool:
        with pytest.raises(LimitError, match="input is larger"):
            await jq_pool.first(".", "x" * 2000)


async def test_a_program_that_fails_is_no_limit() -> None:
    async with pool(1) as jq_pool:
        with pytest.raises(ValueError, match="Cannot index number") as caught:
            await jq_pool.first(".a", 1)

        assert not isinstance(caught.value, LimitError)
        assert "\n" not in str(caught.value)


async def test_what_does_not_compile_is_said_and_what_does_is_not() -> None:
    async with pool(1) as jq_pool:
        assert "syntax error" in (await jq_pool.problem(".a +") or "")
        assert await jq_pool.problem(".a") is None


async def test_a_worker_has_no_environment_and_no_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_SECRET", "hunter2")
    async with pool(1) as jq_pool:
        assert await jq_pool.first("[env, $ENV]", None) == [{}, {}]
        with pytest.raises(ValueError, match="not found"):
            await jq_pool.first('import "a" as a; .', None)


@pytest.mark.parametrize(
    "program", ['import "data" as $d {search: "%s"}; $d', 'import "code" as c {search: "%s"}; c::f']
)
async def test_a_worker_reads_no_file(program: str, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('"hunter2"')
    (tmp_path / "code.jq").write_text('def f: "hunter2";')
    assert "hunter2" in next(iter(jq.compile(program % tmp_path).input_value(None)))

    async with pool(1) as jq_pool:
        with pytest.raises(ValueError, match="Could not open"):
            await jq_pool.first(program % tmp_path, None)


async def test_what_programs_leave_behind_does_not_fail_the_next_ones() -> None:
    async with pool(1, Limits(cpu_s=10, memory_bytes=128 << 20)) as jq_pool:
        for n in range(10):
            assert await jq_pool.first(f"[range(1000000)] | length, {n}", None) == 1_000_000


async def test_a_program_that_fits_a_new_worker_is_not_failed_by_a_used_one() -> None:
    fits = '"a" * 200000000 | length'
    async with pool(1, Limits(cpu_s=30, wall_s=60)) as jq_pool:
        for n in range(3):
            assert await jq_pool.first(f"[range(2000000)] | length, {n}", None) == 2_000_000
        assert await jq_pool.first(fits, None) == 200_000_000


async def test_a_value_that_has_no_text_fails_its_own_call() -> None:
    deep: Any = None
    for _ in range(100_000):
        deep = [deep]
    async with pool(1) as jq_pool:
        with pytest.raises(LimitError, match="too deeply"):
            await jq_pool.first(".", deep)
        with pytest.raises(ValueError, match=r"syntax error|surrogate|Invalid"):
            await jq_pool.first("\ud800", None)

        assert await jq_pool.first(".", "\ud83d\ude00") == "\U0001f600"


async def test_fifty_healthy_programs_finish_beside_runaways() -> None:
    process = psutil.Process()
    async with pool(2) as jq_pool:
        expressions = Expressions(jq_pool)
        before = process.memory_info().rss
        stopped: list[ValueError] = []

        async def run_away(program: str) -> None:
            while True:
                try:
                    await jq_pool.first(program, None)
                except LimitError as exc:
                    stopped.append(exc)

        runaways = [
            asyncio.create_task(run_away(program))
            for program in (ENDLESS, 'reduce range(100) as $i ("a"; . * 2)')
        ]
        healthy = [expressions.run(".n | [., . * 2]", {"n": n}, {}) for n in range(50)]
        found = await asyncio.gather(*healthy)
        for runaway in runaways:
            runaway.cancel()
        await asyncio.wait(runaways)

        assert found == [[n, n * 2] for n in range(50)]
        assert stopped
        assert process.memory_info().rss - before < 32 << 20


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "program", [".", "[.. | scalars]", "tojson", "keys?", "type, length", ".. | numbers | . / 3"]
)
def test_a_worker_gives_what_this_process_gives(program: str) -> None:
    loop = asyncio.new_event_loop()
    jq_pool = JqPool(workers=1)

    @settings(max_examples=60, deadline=None)
    @given(VALUES)
    def same(value: Any) -> None:
        local = next(iter(jq.compile(program).input_value(value)), None)
        assert loop.run_until_complete(jq_pool.first(program, value)) == local

    try:
        same()
    finally:
        loop.run_until_complete(jq_pool.aclose())
        loop.close()
