"""Deployed workflows: what there is, and what to do with versions."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from parley_coordinator.cli.documents import print_findings, read_files, source_of
from parley_coordinator.cli.errors import RefusedError
from parley_coordinator.cli.output import (
    age,
    console,
    moment,
    narrow,
    print_json,
    print_table,
    short,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rich.text import Text

    from parley_coordinator.cli.client import Coordinator

_STYLES: Final = {"current": "green", "active": "", "deprecated": "yellow"}
_DIFF_STYLES: Final = {"+": "green", "-": "red", "@": "cyan"}


def deploy(coordinator: Coordinator, paths: Sequence[Path], *, as_json: bool) -> None:
    """Deploy documents in the given order: what others run comes before them.

    The first that is refused ends it. Doing it again is harmless to those that are deployed.

    Raises:
        UsageError: If something cannot be read.
        RefusedError: With the findings on stderr if the document has any.
        UnreachableError
    """
    done: list[dict[str, Any]] = []
    for file in read_files(paths):
        try:
            answer = coordinator.post_text("v1", "workflows", raw=file.raw, source=source_of(file))
        except RefusedError as exc:
            if exc.code == "invalid_workflow":
                print_findings(file.name, exc.findings, sys.stderr)
            raise
        done.append(answer)
        if not as_json:
            _print_deployed(answer)
    if as_json:
        print_json(done)


def list_workflows(coordinator: Coordinator, *, as_json: bool) -> None:
    found = coordinator.get("v1", "workflows")["workflows"]
    if as_json:
        print_json(found)
        return
    now = datetime.now(UTC)
    cells: dict[str, Callable[[dict[str, Any]], Text]] = {
        "WORKFLOW": lambda each: text(each["name"]),
        "Current": lambda each: text(each["version"]),
        "Other versions": lambda each: text("\n".join(_others(each))),
        "By": lambda each: text(each["deployedBy"]),
        "Deployed": lambda each: text(f"{age(each['deployedAt'], now)} ago"),
        "Title": lambda each: text(each["title"]),
    }
    if narrow():
        del cells["Title"], cells["By"]
    print_table(
        list(cells),
        [[cell(each) for cell in cells.values()] for each in found],
        empty="no workflows",
    )


def show_versions(coordinator: Coordinator, name: str, *, as_json: bool) -> None:
    found = coordinator.get("v1", "workflows", name, "versions")
    if as_json:
        print_json(found)
        return
    print_table(
        ["VERSION", "State", "By", "Deployed", "Digest"],
        [
            (
                text(each["version"]),
                text(_state(each), _STYLES[_state(each)]),
                text(each["deployedBy"]),
                text(f"{moment(each['deployedAt']):%Y-%m-%d %H:%M:%S}"),
                text(short(each["digest"])),
            )
            for each in found["versions"]
        ],
        empty="no versions",
    )
    out = console()
    out.print()
    for act in found["acts"]:
        what = f"{act['act'].replace('-', ' ')} {act['version']}"
        before, after = act["fromVersion"], act["toVersion"]
        change = "" if before == after else f" (current: {before or 'none'} -> {after})"
        at = f"{moment(act['at']):%Y-%m-%d %H:%M:%S}"
        out.print(text(f"{at}  {act['by']}: {what}{change}"), soft_wrap=True)


def print_diff(
    coordinator: Coordinator, name: str, one: str, other: str | None, *, as_json: bool
) -> None:
    found = coordinator.get("v1", "workflows", name, "diff", **{"from": one, "to": other})
    if as_json:
        print_json(found)
        return
    out = console()
    for line in found["diff"].split("\n")[:-1]:
        out.print(text(line, _DIFF_STYLES.get(line[:1], "")), soft_wrap=True)
    if not found["diff"]:
        console(stderr=True).print(text("the texts are the same", "dim"))


def deprecate(coordinator: Coordinator, name: str, version: str, *, as_json: bool) -> None:
    answer = coordinator.post(
        "v1", "workflows", name, "versions", f"{version}:deprecate", body=None
    )
    if as_json:
        print_json(answer)
    else:
        console().print(text(f"{answer['name']} {answer['version']} is deprecated"))


def roll_back(coordinator: Coordinator, name: str, version: str | None, *, as_json: bool) -> None:
    """Make a version current; the one before the current one if none is named.

    That one is looked up first: a request that names it is harmless to send again.
    """
    if version is None:
        version = coordinator.get("v1", "workflows", name, "versions")["previous"]
    answer = coordinator.post("v1", "workflows", f"{name}:roll-back", body={"version": version})
    if as_json:
        print_json(answer)
    else:
        _print_deployed(answer)


def _print_deployed(answer: dict[str, Any]) -> None:
    what = f"{answer['name']} {answer['version']}"
    console().print(text(f"{what} is {_state(answer)}"), soft_wrap=True)
    if not answer["current"]:
        hint = f"it was deployed before and stays as it is; see parley workflows {answer['name']}"
        console(stderr=True).print(text(hint, "yellow"), soft_wrap=True)


def _state(deployment: dict[str, Any]) -> str:
    return "current" if deployment["current"] else str(deployment["state"])


def _others(workflow: dict[str, Any]) -> list[str]:
    return [
        each["version"] + (" (deprecated)" if each["state"] == "deprecated" else "")
        for each in workflow["versions"]
        if not each["current"]
    ]
