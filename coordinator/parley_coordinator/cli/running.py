"""`parley run`: the input, the start, and following the run."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from parley_cards import strict_json
from parley_cards.errors import ParleyError

from parley_coordinator.cli.errors import RunFailedError, UsageError
from parley_coordinator.cli.listing import print_run
from parley_coordinator.cli.output import console, moment, print_json, text
from parley_coordinator.cli.why import place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parley_coordinator.cli.client import Coordinator

_KEY = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?")
"""What may be an Idempotency-Key and travels in a header as it is."""
_FINAL: Final = frozenset({"completed", "faulted", "cancelled"})
_WORDS: Final = {
    "intended": "asks an agent",
    "observed": "has its answer",
    "failed": "failed",
    "chose": "chose",
    "asked": "asks a person",
    "decided": "was decided",
    "retrying": "tries again later",
    "caught": "handled an error",
}


def read_input(file: str | None, fields: Sequence[str]) -> Any:
    """Return the input of a run: a JSON file, fields that add to it, or both.

    Raises:
        UsageError: If there is none, or a file cannot be read or is not JSON.
    """
    given: Any = {}
    if file is not None:
        given = read_json(file)
    elif not fields:
        raise UsageError("give the input: --input FILE.json, or --set key=value")
    for field in fields:
        name, found, value = field.partition("=")
        if not found or not name:
            raise UsageError(f"--set takes key=text or key=@file, not {field[:60]!r}")
        if not isinstance(given, dict):
            raise UsageError("--set adds to an object, and the input file holds something else")
        given[name] = _text(value[1:]) if value.startswith("@") else value
    return given


def read_json(file: str) -> Any:
    """Return what a JSON file holds; `-` is stdin.

    Raises:
        UsageError: If it cannot be read, or is not JSON.
    """
    try:
        return strict_json.loads(_bytes(file))
    except ParleyError as exc:
        raise UsageError(f"{file}: {exc.message}") from exc


def start(
    coordinator: Coordinator,
    workflow: str,
    given: Any,
    *,
    version: str | None,
    limits: Mapping[str, Any],
    key: str | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Start a run and print it; with `wait`, once it has ended or needs a person.

    Its id is on stderr as soon as it is known: what happens to this command later loses nothing.

    Args:
        limits: `deadline` and `budget`, as the request has them.

    Raises:
        UsageError: If `key` cannot be one.
        RunFailedError: If it was waited for and ended without success.
    """
    if key is not None and not _KEY.fullmatch(key):
        raise UsageError("--key takes 1 to 200 printable ASCII characters")
    # Sent again after a lost answer, the key makes it the same run.
    headers = {"idempotency-key": f"cli-{uuid4()}" if key is None else key}
    body = {"workflow": workflow, "input": given, "version": version, **limits}
    run = coordinator.post("v1", "runs", body=body, headers=headers)
    if wait:
        console(stderr=True).print(
            text(f"run {run['id']} is started: parley why {run['id']}", "dim"),
            soft_wrap=True,
        )
        _follow(coordinator, run["id"])
        run = coordinator.get("v1", "runs", run["id"])
    if as_json:
        print_json(run)
    else:
        print_run(run)
    if wait and run["state"] in ("faulted", "cancelled"):
        raise RunFailedError(f"the run is {run['state']}; parley why {run['id']}")
    item = _asked(run)
    if wait and item and not as_json:
        console(stderr=True).print(
            text(f"a person is needed: parley inbox {item}", "yellow"), soft_wrap=True
        )


def _follow(coordinator: Coordinator, run_id: str) -> None:
    """Show on stderr what happens, until the run has ended or waits for a person."""
    talk = console(stderr=True)
    with talk.status(text(f"run {run_id}")) as status:
        for event, data in coordinator.events(run_id):
            if event == "entry":
                where = place(data["path"]) or "run"
                words = _WORDS.get(data["kind"].partition(".")[0])
                status.update(text(f"{where} {words or data['kind']}"))
                if words is not None or not data["path"]:
                    talk.print(
                        text(f"{moment(data['at']):%H:%M:%S}  {where}: {words or data['kind']}")
                    )
            elif data["state"] in _FINAL or _asked(data):
                return


def _asked(run: dict[str, Any]) -> str:
    """Return the first item that a waiting run waits for; empty if there is none."""
    return next((str(wait["item"]) for wait in run["waitingFor"] if wait.get("kind") == "item"), "")


def _bytes(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as exc:
        raise UsageError(f"cannot read {file}: {exc.strerror}") from exc


def _text(file: str) -> str:
    try:
        return _bytes(file).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise UsageError(f"{file} is not UTF-8 text (byte {exc.start})") from exc
