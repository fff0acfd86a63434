"""Commands in processes of their own that begin where all imports are done: forked, not started anew.

A command that is started takes half a second of CPU, nearly all of it for imports. What starts
differently in a fork is proved by the tests that start `parley` themselves.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MODULES: Final = (
    "parley_coordinator.cli.card_signing",
    "parley_coordinator.cli.edge",
    "parley_coordinator.cli.client",
    "parley_coordinator.cli.documents",
    "parley_coordinator.cli.output",
    "parley_coordinator.delegation.catalog",
    "parley_coordinator.rehearsing",
    "parley_coordinator.workflow.check",
    "parley_coordinator.workflow.diagram",
    "parley_coordinator.workflow.outline_text",
    "rich.console",
    "rich.table",
)
_LIMIT_S: Final = 100


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def parley(words: Sequence[str], *, env: Mapping[str, str], stdin: bytes = b"") -> Ended:
    """Run `parley` to its end; for a thread that may wait."""
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        files[0].write(stdin)
        files[0].seek(0)
        ours, theirs = socket.socketpair()
        stack.enter_context(ours).settimeout(_LIMIT_S)
        with theirs:
            fds = [*(each.fileno() for each in files), theirs.fileno()]
            socket.send_fds(_forking(), [b"x"], fds)
        request = {"words": list(words), "env": dict(env), "cwd": os.getcwd()}  # noqa: PTH109
        ours.sendall(json.dumps(request).encode())
        ours.shutdown(socket.SHUT_WR)
        status = int(_all(ours))
        said = []
        for each in files[1:]:
            each.seek(0)
            said.append(each.read().decode())
    return Ended(status, *said)


@functools.cache
def _forking() -> socket.socket:
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-P", "-W", "error", __file__, str(theirs.fileno())],
        env={k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")},
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _all(talk: socket.socket) -> bytes:
    return b"".join(iter(lambda: talk.recv(65_536), b""))


def _fork_for_each(control: socket.socket) -> None:
    """Return in each fork; in the process itself at the end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        asked, fds, _, _ = socket.recv_fds(control, 1, 4)
        if not asked:
            raise SystemExit
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            _become(fds)
            return
        for each in fds:
            os.close(each)


def _become(fds: list[int]) -> None:
    """Return in the process of the command; its parent tells its status."""
    talk = socket.socket(fileno=fds.pop())
    request = json.loads(_all(talk))
    command = os.fork()
    if command:
        _, status = os.waitpid(command, 0)
        talk.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    talk.close()
    for number, each in enumerate(fds):
        os.dup2(each, number)
        os.close(each)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = ["parley", *request["words"]]


if __name__ == "__main__":
    for _name in _MODULES:
        with contextlib.suppress(ImportError):  # the command that needs it will tell
            importlib.import_module(_name)
    _fork_for_each(socket.socket(fileno=int(sys.argv[1])))
    importlib.import_module("parley_coordinator.cli").main()
