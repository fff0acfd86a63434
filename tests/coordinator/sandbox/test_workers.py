"""How workers start, are replaced and end. Real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from typing import TYPE_CHECKING

import psutil
import pytest
from parley_coordinator.sandbox.limits import Limits, SandboxUnavailableError
from parley_coordinator.workflow.expressions import LimitError

from tests.coordinator.sandbox.pools import ENDLESS, computing, pool, runs, workers_of
from tests.coordinator.world import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

PATIENT = Limits(cpu_s=60, wall_s=60)
"""A program that never ends is still running when the test has found its process."""


async def test_who_is_cancelled_leaves_no_answer_and_no_process_behind() -> None:
    async with pool(1, PATIENT) as jq_pool:
        for _ in range(3):
            slow = asyncio.create_task(jq_pool.first("[range(300000)] | add", None))
            await asyncio.sleep(0)
            slow.cancel()
            await asyncio.wait({slow})

            assert await jq_pool.first(".n", {"n": 7}) == 7

        running = asyncio.create_task(jq_pool.first(ENDLESS, None))
        await computing(os.getpid())
        running.cancel()
        await asyncio.wait({running})

        assert workers_of(os.getpid()) == []
        assert await jq_pool.first(".n", {"n": 7}) == 7


async def test_a_worker_killed_from_outside_is_replaced_in_the_middle_of_a_program() -> None:
    async with pool(1, PATIENT) as jq_pool:
        running = asyncio.create_task(jq_pool.first("last(range(3000000))", None))
        (await computing(os.getpid())).kill()

        assert await running == 2_999_999


async def test_a_worker_killed_between_programs_is_not_noticed() -> None:
    async with pool(1) as jq_pool:
        assert await jq_pool.first(".", 1) == 1
        (worker,) = workers_of(os.getpid())
        worker.kill()

        assert await jq_pool.first(".", 2) == 2


async def test_a_program_whose_every_worker_is_killed_is_given_up() -> None:
    async with pool(1, PATIENT) as jq_pool:
        running = asyncio.create_task(jq_pool.first(ENDLESS, None))
        first = await computing(os.getpid())
        first.kill()
        (await computing(os.getpid(), other_than=first)).kill()

        with pytest.raises(LimitError, match="again and again"):
            await running
        assert await jq_pool.first(".", 1) == 1


async def test_a_worker_that_cannot_start_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pool(1) as jq_pool:
        monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
        with pytest.raises(SandboxUnavailableError, match="can be started"):
            await jq_pool.first(".", 1)
        monkeypatch.undo()

        assert await jq_pool.first(".", 1) == 1


async def test_a_worker_that_dies_as_it_starts_is_not_started_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    monkeypatch.setattr(
        sys, "executable", program(tmp_path, f"open({str(started)!r}, 'a').write('x'); exit(3)")
    )
    async with pool(1) as jq_pool:
        with pytest.raises(SandboxUnavailableError, match="status 3"):
            await jq_pool.first(".", 1)

    assert started.read_text() == "x"


@pytest.mark.parametrize(
    "rubbish",
    [
        *(b"\xff\xff\xff\xff", b"\0\0\0\x02{}", b"\0\0\0\x02[]", b"\0\0\0\x01{"),
        *(b'\0\0\0\x0c{"limit":{}}', b"\0\0\0\x05" + b"[" * 5, b"x" * 3_000_000),
    ],
)
async def test_a_worker_that_answers_rubbish_is_ended(
    rubbish: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rubbish").write_bytes(rubbish)
    script = f"""
        import os
        os.write(1, b"\\0\\0\\0\\x02{{}}")
        os.read(0, 1)
        data = open({str(tmp_path / "rubbish")!r}, "rb").read()
        while data:
            data = data[os.write(1, data):]
        os.read(0, 100000)
        os.read(0, 1)
    """
    monkeypatch.setattr(sys, "executable", program(tmp_path, textwrap.dedent(script)))
    others = set(psutil.Process().children())
    async with pool(1) as jq_pool:
        with pytest.raises(LimitError, match="again and again"):
            await jq_pool.first(".", 1)

        assert set(psutil.Process().children()) == others
        monkeypatch.undo()
        assert await jq_pool.first(".", 1) == 1


async def test_closing_leaves_no_process_behind() -> None:
    async with pool(2) as jq_pool:
        await asyncio.gather(jq_pool.first(".", 1), jq_pool.first(".", 2))
        assert len(workers_of(os.getpid())) == 2

    assert workers_of(os.getpid()) == []


async def test_closing_ends_what_runs_and_what_waits() -> None:
    async with pool(1, PATIENT) as jq_pool:
        calls = [asyncio.create_task(jq_pool.first(ENDLESS, None)) for _ in range(3)]
        await computing(os.getpid())
        await jq_pool.aclose()

        assert workers_of(os.getpid()) == []
        for call in calls:
            with pytest.raises(SandboxUnavailableError):
                await call
        with pytest.raises(SandboxUnavailableError):
            await jq_pool.first(".", 1)


@pytest.mark.crash
@pytest.mark.parametrize("running", [".", ENDLESS])
async def test_workers_end_when_the_coordinator_is_killed(running: str) -> None:
    script = textwrap.dedent(f"""
        import asyncio
        from parley_coordinator.sandbox.limits import Limits
        from parley_coordinator.sandbox.pool import JqPool

        async def main():
            pool = JqPool(limits=Limits(cpu_s=2, wall_s=60))
            await asyncio.gather(pool.first(".", 1), pool.first(".", 2))
            print("ready", flush=True)
            await pool.first({running!r}, None)
            await asyncio.sleep(60)

        asyncio.run(main())
    """)
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    assert await parent.stdout.readline() == b"ready\n"
    workers = workers_of(parent.pid)
    if running == ENDLESS:
        await computing(parent.pid)

    async def gone() -> bool:
        return not any(runs(each) for each in workers)

    parent.kill()
    await parent.wait()

    assert len(workers) == 2
    await until(gone, seconds=60)


async def test_who_waits_is_served_in_order() -> None:
    served: list[int] = []
    async with pool(1) as jq_pool:

        async def call(number: int) -> None:
            await jq_pool.first(".", number)
            served.append(number)

        await asyncio.gather(*(call(number) for number in range(20)))

    assert served == list(range(20))


async def test_a_worker_has_three_pipes_and_can_open_no_more() -> None:
    async with pool(1) as jq_pool:
        await jq_pool.first(".", 1)
        (worker,) = workers_of(os.getpid())

        assert worker.num_fds() == 4  # the fourth shows it its own size
        assert worker.rlimit(psutil.RLIMIT_NOFILE) == (4, 4)
        assert worker.rlimit(psutil.RLIMIT_CORE) == (0, 0)
        assert worker.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
        assert os.getsid(worker.pid) == worker.pid
        assert worker.environ() == {}


async def test_a_signal_that_the_coordinator_ignores_still_stops_a_runaway() -> None:
    before = signal.signal(signal.SIGPROF, signal.SIG_IGN)
    try:
        async with pool(1) as jq_pool:
            with pytest.raises(LimitError, match="CPU"):
                await jq_pool.first(ENDLESS, None)
    finally:
        signal.signal(signal.SIGPROF, before)


def program(folder: Path, source: str) -> str:
    """Return the path of an executable that runs `source`, whatever its arguments."""
    path = folder / "program"
    path.write_text(f"#!{sys.executable}\n{source}")
    path.chmod(0o700)
    return str(path)


async def test_none_but_its_own_caller_waits_for_a_worker_to_start() -> None:
    async with pool(2, PATIENT) as jq_pool:
        await asyncio.gather(jq_pool.first(".", 1), jq_pool.first(".", 2))
        running = asyncio.create_task(jq_pool.first(ENDLESS, None))
        worker = await computing(os.getpid())
        worker.kill()  # the retry on another one

        assert [await jq_pool.first(".", n) for n in range(20)] == list(range(20))
        running.cancel()
        await asyncio.wait({running})
