"""Real processes: started, killed, restarted, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from parley_coordinator.cli.errors import MeshError
from parley_coordinator.cli.supervisor import Child, Happened, Supervisor, What

from tests.ports import free_port

pytestmark = pytest.mark.anyio

SERVER = """
import http.server, sys

class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
    def log_message(self, *words):
        pass

class Server(http.server.HTTPServer):
    allow_reuse_address = True

print("serving", flush=True)
Server(("127.0.0.1", int(sys.argv[1])), Healthy).serve_forever()
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def server(name: str, *, after: tuple[str, ...] = (), code: str = SERVER) -> Child:
    port = free_port()
    return Child(
        name=name,
        argv=(sys.executable, "-c", code, str(port)),
        url=f"http://127.0.0.1:{port}",
        env=dict(os.environ),
        after=after,
    )


async def test_children_come_up_in_order_and_go_down_with_the_context(tmp_path: Path) -> None:
    told: list[Happened] = []
    children = [server("first"), server("second", after=("first",))]
    async with asyncio.timeout(60):
        async with Supervisor(children, log_dir=tmp_path, tell=told.append) as running:
            await running.ready()
            pids = [running.pid(name) for name in running.names]

    words = [(each.name, each.what) for each in told]
    assert words.index(("first", What.HEALTHY)) < words.index(("second", What.STARTED))
    assert all(pid is not None and not alive(pid) for pid in pids)
    assert (tmp_path / "first.log").read_text() == "serving\n"


async def test_a_child_that_is_killed_by_somebody_is_restarted_and_that_is_said(
    tmp_path: Path,
) -> None:
    told: list[Happened] = []
    async with (
        asyncio.timeout(60),
        Supervisor([server("one")], log_dir=tmp_path, tell=told.append) as running,
    ):
        await running.ready()
        pid = running.pid("one")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while not any(each.what is What.DIED for each in told):
            await asyncio.wait_for(running._changed.wait(), 60)
            running._changed.clear()
        await running.ready("one")

        assert running.starts("one") == 2
        assert running.pid("one") != pid
        died = next(each for each in told if each.what is What.DIED)
        assert "SIGKILL" in died.detail


async def test_what_a_child_said_last_is_told_with_its_end(tmp_path: Path) -> None:
    told: list[Happened] = []
    code = "import sys; print('old', flush=True); sys.stderr.write('the disk is full\\n\\n'); sys.exit(4)"
    async with (
        asyncio.timeout(60),
        Supervisor([server("one", code=code)], log_dir=tmp_path, tell=told.append) as running,
    ):
        while not any(each.what is What.DIED for each in told):
            await asyncio.wait_for(running._changed.wait(), 60)
            running._changed.clear()

    died = next(each for each in told if each.what is What.DIED)
    assert died.detail.startswith("ended with status 4 (the disk is full); starting again in ")


async def test_a_child_that_is_killed_on_purpose_stays_down_until_it_is_started(
    tmp_path: Path,
) -> None:
    async with (
        asyncio.timeout(60),
        Supervisor([server("one")], log_dir=tmp_path) as running,
    ):
        await running.ready()
        pid = running.pid("one")
        await running.kill("one")

        assert running.pid("one") is None
        assert pid is not None
        assert not alive(pid)

        await running.start("one")
        await running.ready("one")

        assert running.starts("one") == 2


async def test_a_child_that_cannot_come_up_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    code = "import sys; sys.exit('no such setting')"
    async with (
        asyncio.timeout(60),
        Supervisor([server("broken", code=code)], log_dir=tmp_path) as running,
    ):
        with pytest.raises(MeshError, match="status 1") as caught:
            await running.ready()

    assert "no such setting" in caught.value.message


async def test_a_program_that_does_not_exist_is_an_error_and_no_hang(tmp_path: Path) -> None:
    child = Child(name="x", argv=("/nonexistent/x",), url="http://127.0.0.1:1", env={})
    async with asyncio.timeout(60), Supervisor([child], log_dir=tmp_path) as running:
        with pytest.raises(MeshError, match="cannot be started"):
            await running.ready()


async def test_a_child_that_does_not_listen_in_time_is_named(tmp_path: Path) -> None:
    code = "import threading; threading.Event().wait()"
    async with (
        asyncio.timeout(60),
        Supervisor([server("mute", code=code)], log_dir=tmp_path) as running,
    ):
        with pytest.raises(MeshError, match="mute is not up"):
            await running.ready(timeout_s=0.5)


async def test_a_child_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVER
    async with asyncio.timeout(60):
        async with Supervisor(
            [server("deaf", code=code)], log_dir=tmp_path, grace_s=0.3
        ) as running:
            await running.ready()
            pid = running.pid("deaf")

    assert pid is not None
    assert not alive(pid)


SUPERVISING = """
import asyncio, os, sys
from pathlib import Path
from parley_coordinator.cli.supervisor import Child, Supervisor

async def main():
    code, port, folder = sys.argv[1:]
    child = Child(name="one", argv=(sys.executable, "-c", code, port),
                  url=f"http://127.0.0.1:{port}", env=dict(os.environ))
    async with Supervisor([child], log_dir=Path(folder)) as running:
        await running.ready()
        print(running.pid("one"), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such signal")
async def test_a_supervisor_that_is_killed_leaves_nobody_behind(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SUPERVISING, SERVER, str(free_port()), str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        assert parent.stdout is not None
        pid = int(await parent.stdout.readline())
        assert alive(pid)

        parent.kill()
        await parent.communicate()
        while alive(pid):
            await asyncio.to_thread(os.sched_yield)
