"""Ports that stay free between the moment they are chosen and the moment somebody listens there."""

from __future__ import annotations

import fcntl
import functools
import itertools
import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK: Final = 80
_BLOCKS: Final = range(30_000, 32_700, _BLOCK)
"""Below 32768, where systems take the ports of outgoing connections and those of port 0 from."""


def free_port() -> int:
    """Return a port that no other process of tests is given; it comes again after many others."""
    return next(port for port in _ports() if is_free(port))


@functools.cache
def _ports() -> Iterator[int]:
    for first in _BLOCKS:
        if _take(first):
            return itertools.cycle(range(first, first + _BLOCK))
    raise AssertionError("as many processes of tests run as there are blocks of ports")


def _take(first: int) -> bool:
    """Lock a block of ports for the rest of this process."""
    path = Path(tempfile.gettempdir()) / f"parley-ports-{first}.lock"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return False
    return True


def is_free(port: int) -> bool:
    """Return whether a server could listen there."""
    with socket.socket() as probe:
        # As servers do it: a port that was in use a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
