"""Small facts about processes: how one ends, what it said last, whether it answers."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOG_LINES: Final = 8
_LOG_BYTES: Final = 16_384
_LINE_CHARS: Final = 300


def _prepared_end_with_parent() -> Callable[[], object] | None:
    """Return what makes a child get SIGTERM when the thread that started it is gone (Linux).

    Without it, a supervisor that is killed with SIGKILL leaves its children behind.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    pr_set_pdeathsig = 1  # linux/prctl.h
    return functools.partial(prctl, pr_set_pdeathsig, int(signal.SIGTERM))


END_WITH_PARENT: Final = _prepared_end_with_parent()


async def answers(url: str) -> bool:
    """Whether `GET /healthz` answers 200. By hand: an HTTP library is more than this needs."""
    host, _, port = url.rpartition("/")[2].rpartition(":")
    request = f"GET /healthz HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(request.encode())
                status = await reader.readline()
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return status.split()[1:2] == [b"200"]


def described(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def last_line(log: Path, *, after: int) -> str:
    """Return the last line that is not empty, of those that begin after so many bytes."""
    with log.open("rb") as file:
        file.seek(max(after, log.stat().st_size - _LOG_BYTES))
        lines = file.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:_LINE_CHARS]


def last_words(log: Path) -> str:
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-_LOG_LINES:])
