"""Where the command line meets its process: every failure becomes one line and an exit status."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Final, NoReturn

from parley_cards.errors import ParleyError

from parley_coordinator.cli.card_commands import app
from parley_coordinator.cli.errors import CommandError

_PIPE_CLOSED: Final = 141
"""As a shell shows a process that SIGPIPE has ended."""


def run() -> None:
    """Run the command line of this process; ends it with the status of the command."""
    try:
        try:
            app(prog_name="parley")
        finally:
            # Here a full device is an error with a message; at the exit it would be a trace.
            sys.stdout.flush()
    except CommandError as exc:
        _fail(exc.message, exc.code, exc.exit_status)
    except ParleyError as exc:
        _fail(exc.message, exc.code, exc.face.exit)
    except BrokenPipeError:
        _drop_output()
        raise SystemExit(_PIPE_CLOSED) from None
    except OSError as exc:
        _drop_output()
        _fail(f"the system refuses: {exc.strerror or exc}", "system", 1)


def _fail(message: str, code: str, exit_status: int) -> NoReturn:
    from parley_coordinator.cli.output import clean  # noqa: PLC0415 - see parley_coordinator.cli

    lines = [clean(line) for line in message.splitlines()] or [""]
    with contextlib.suppress(OSError):  # nobody can be told
        sys.stderr.write("\n".join([f"parley: {lines[0]} [{code}]", *lines[1:]]) + "\n")
    raise SystemExit(exit_status)


def _drop_output() -> None:
    """Let what could not be written go nowhere, so that the interpreter does not try again."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
