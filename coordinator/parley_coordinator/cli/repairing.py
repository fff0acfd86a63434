"""`parley repair`: what to do about a run that ended without success."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parley_coordinator.cli.errors import UsageError
from parley_coordinator.cli.listing import print_run
from parley_coordinator.cli.output import print_json
from parley_coordinator.cli.running import read_json

if TYPE_CHECKING:
    from parley_coordinator.cli.client import Coordinator


def request(
    reason: str,
    *,
    step: str | None,
    skip: bool,
    again: bool,
    arguments: str | None,
    output: str | None,
    given: str | None,
) -> dict[str, Any]:
    """Return the body of the request; the last three are files.

    Raises:
        UsageError: If a file cannot be read, or the options contradict each other.
    """
    if output is not None and not skip:
        raise UsageError("--result is for a step that is skipped; add --skip")
    body: dict[str, Any] = {"act": "skip" if skip else "retry", "reason": reason, "again": again}
    if step is not None:
        body["step"] = step
    files = {"arguments": arguments, "output": output, "input": given}
    return body | {name: read_json(file) for name, file in files.items() if file is not None}


def repair(coordinator: Coordinator, run_id: str, body: dict[str, Any], *, as_json: bool) -> None:
    run = coordinator.post("v1", "runs", f"{run_id}:repair", body=body)
    if as_json:
        print_json(run)
    else:
        print_run(run)
