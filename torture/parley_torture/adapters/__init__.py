"""Adapters that come with the kit, by name: how each is started."""

from __future__ import annotations

import shlex
import sys
from typing import Final

from parley_torture.errors import AdapterError

BUILT_IN: Final = {
    "parley": (sys.executable, "-P", "-m", "parley_torture.adapters.parley"),
}


def argv_of(given: str) -> tuple[str, ...]:
    """Return the command of an adapter: one that comes with the kit, or as it is written.

    Raises:
        AdapterError: If it is no command.
    """
    if given in BUILT_IN:
        return BUILT_IN[given]
    try:
        argv = tuple(shlex.split(given))
    except ValueError as exc:
        raise AdapterError(f"{given!r} is no command: {exc}") from exc
    if not argv:
        raise AdapterError("name an adapter, or give a command that starts one")
    return argv
