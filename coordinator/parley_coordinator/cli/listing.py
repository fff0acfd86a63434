"""Runs, agents and schedules as tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from parley_coordinator.cli.output import (
    age,
    clean,
    console,
    moment,
    narrow,
    print_json,
    print_table,
    state,
    text,
    value_text,
)
from parley_coordinator.cli.why import waits_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parley_coordinator.cli.client import Coordinator


def list_runs(
    coordinator: Coordinator,
    *,
    workflow: str | None,
    state: str | None,
    stuck: bool,
    limit: int,
    as_json: bool,
) -> None:
    filters = {"stuck": "true"} if stuck else {}
    found = coordinator.entries("runs", limit=limit, workflow=workflow, state=state, **filters)
    if as_json:
        print_json(found)
        return
    now = datetime.now(UTC)
    if narrow():
        print_table(
            ["RUN", "State", "Changed"],
            [
                (
                    Text.assemble(
                        text(run["id"]),
                        "\n",
                        text(f"{run['workflow']}, by {run['requestedBy']}", "dim"),
                    ),
                    _stands(run),
                    text(f"{age(run['updatedAt'], now)} ago"),
                )
                for run in found
            ],
            empty="no runs",
        )
        return
    print_table(
        ["RUN", "Workflow", "State", "By", "Changed"],
        [
            (
                text(run["id"]),
                text(run["workflow"]),
                _stands(run),
                text(run["requestedBy"]),
                text(f"{age(run['updatedAt'], now)} ago"),
            )
            for run in found
        ],
        empty="no runs",
    )


def show_run(coordinator: Coordinator, run_id: str, *, as_json: bool) -> None:
    run = coordinator.get("v1", "runs", run_id)
    if as_json:
        print_json(run)
    else:
        print_run(run)


def print_run(run: dict[str, Any]) -> None:
    """Print one run in a few lines."""
    out = console()
    out.print(text(f"run {run['id']}"), soft_wrap=True)
    out.print(text(f"{run['workflow']} {run['version']}, by {run['requestedBy']}: "), end="")
    out.print(state(run["state"]))
    for wait in run["waitingFor"]:
        out.print(text(f"  waits for {waits_for(wait)}"), soft_wrap=True)
    if run["error"]:
        out.print(text(f"  {run['error'].get('title')}", "red"))
        if run["error"].get("detail"):
            out.print(text(f"  {run['error']['detail']}"))
    if run["output"] is not None:
        output = run["output"] if isinstance(run["output"], dict) else {"output": run["output"]}
        for name, value in output.items():
            out.print(text(f"  {clean(name)}: {value_text(value)}"))
    out.print(text(f"why: parley why {run['id']}", "dim"), soft_wrap=True)


def cancel_run(coordinator: Coordinator, run_id: str, *, reason: str, as_json: bool) -> None:
    run = coordinator.post("v1", "runs", f"{run_id}:cancel", body={"reason": reason})
    if as_json:
        print_json(run)
        return
    print_run(run)
    if run["effects"]:
        console().print(text("what it leaves behind at others:"))
        print_effects(run["effects"])


def print_effects(effects: Sequence[dict[str, Any]]) -> None:
    print_table(
        ["Step", "Agent", "TASK", "State", "What came of it"],
        [
            [
                text(each["title"]),
                text(each["agent"]),
                text(each["task"]),
                state(each["state"]),
                text(each["said"]),
            ]
            for each in effects
        ],
        empty="nothing",
    )


def list_agents(
    coordinator: Coordinator, *, skill: str | None, tag: str | None, as_json: bool
) -> None:
    found = coordinator.get("v1", "agents", skill=skill, tag=tag)["agents"]
    if as_json:
        print_json(found)
        return
    cells: dict[str, Callable[[dict[str, Any]], Text]] = {
        "AGENT": lambda agent: text(agent["name"]),
        "Version": lambda agent: text(agent["version"]),
        "Health": _health,
        "Calls": lambda agent: text(f"{agent['load']['inFlight']}/{agent['load']['limit']}"),
        "Skills": lambda agent: text(
            "\n".join(f"{each['id']}:{each['version']}" for each in agent["skills"])
        ),
        "Lease until": lambda agent: text(f"{moment(agent['leaseUntil']):%H:%M:%S}"),
        "Address": _address,
    }
    if narrow():
        del cells["Version"], cells["Lease until"], cells["Calls"]
    print_table(
        list(cells),
        [[cell(agent) for cell in cells.values()] for agent in found],
        empty="no agents",
    )


def _health(agent: dict[str, Any]) -> Text:
    """Return what the registry says, and whether the coordinator leaves the agent alone."""
    shown = state(agent["health"])
    breaker = str(agent["load"]["breaker"])
    if breaker != "closed":
        shown.append(f" (breaker {clean(breaker)})", "red")
    return shown


def _address(agent: dict[str, Any]) -> Text:
    """Return where it is, and who has signed its card, if anybody has."""
    shown = text(agent["url"])
    if agent["signed"] == "verified":
        shown.append(f"\nsigned by {clean(agent['signedBy'])}", "green")
    elif agent["signed"] == "unverified":
        shown.append("\nsigned, unverified", "yellow")
    return shown


def list_schedules(coordinator: Coordinator, *, as_json: bool) -> None:
    found = coordinator.get("v1", "schedules")["schedules"]
    if as_json:
        print_json(found)
        return
    cells: dict[str, Callable[[dict[str, Any]], Text]] = {
        "WORKFLOW": lambda each: text(f"{each['workflow']} {each['version']}"),
        "Starts": _starts,
        "Next (UTC)": lambda each: text(_at(each["due"]) or "-"),
        "Last (UTC)": lambda each: text(_at(each["lastAt"]) or "-"),
        "Problem": lambda each: text(each["problem"] or "", "red"),
    }
    if narrow():
        del cells["Last (UTC)"]
    print_table(
        list(cells),
        [[cell(each) for cell in cells.values()] for each in found],
        empty="no workflow starts by itself",
    )


def _starts(scheduled: dict[str, Any]) -> Text:
    kind = scheduled["kind"]
    if kind == "on":
        return text("with events")
    return text(f"{kind} {value_text(scheduled['schedule'][kind])}")


def _at(given: str | None) -> str:
    return f"{moment(given):%Y-%m-%d %H:%M:%S}" if given else ""


def _stands(run: dict[str, Any]) -> Text:
    """Return the state, and what for while waiting."""
    kinds = sorted({str(wait.get("kind")) for wait in run["waitingFor"]})
    shown = state(run["state"])
    if kinds:
        words = {"item": "person"}
        shown.append(f" ({', '.join(words.get(kind, clean(kind)) for kind in kinds)})", "dim")
    return shown
