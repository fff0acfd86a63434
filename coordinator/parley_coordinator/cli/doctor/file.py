"""Checks of a coordinator's SQLite file, and of who has it."""

from __future__ import annotations

import contextlib
import fcntl
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parley_coordinator.cli.doctor.findings import Finding, ok, problem

if TYPE_CHECKING:
    from sqlalchemy import Connection

_LOCKS: Final = Path("/proc/locks")
_MAX_TOLD: Final = 3


def integrity(connection: Connection) -> list[Finding]:
    """Have SQLite look through all its pages."""
    found = list(connection.exec_driver_sql("PRAGMA quick_check").scalars())
    if found == ["ok"]:
        return [ok("integrity", "quick_check finds nothing wrong")]
    what = f"quick_check: {'; '.join(map(str, found[:_MAX_TOLD]))}"
    do = "stop the coordinator, keep a copy of the file, and restore a backup"
    return [problem("integrity", what, do)]


def holder(lock: Path) -> list[Finding]:
    """Say which process runs on this home."""
    check = "lock"
    if not lock.exists():
        return [ok(check, "no coordinator has run here yet")]
    try:
        with lock.open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = _owner(lock)
        who = "a coordinator" if pid is None else f"the coordinator with process id {pid}"
        return [ok(check, f"{who} runs on this home; a second one would be refused")]
    except OSError as exc:
        return [
            problem(check, f"{lock} cannot be opened: {exc.strerror}", "let this user read it"),
        ]
    return [ok(check, "no coordinator runs on this home")]


def _owner(lock: Path) -> int | None:
    """Return who holds the lock of a file, where the system tells."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        inode = lock.stat().st_ino
        for line in _LOCKS.read_text().splitlines():
            words = line.split()
            if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
                return int(words[4])
    return None
