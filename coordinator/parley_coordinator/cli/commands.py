"""The commands and their options; what they do is in the modules that they import."""
# ruff: noqa: PLC0415 - see parley_coordinator.cli: a command imports what it needs, when it runs

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from parley_coordinator.cli.asking import Ask, Home, asking
from parley_coordinator.cli.errors import UsageError
from parley_coordinator.cli.settings import DEFAULT_HOME

app = typer.Typer(
    name="parley",
    help="Run workflows over A2A agents; people decide what must not be automated.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


_ID = re.compile(r"[\w.~-]{1,200}", re.ASCII)


StateName = Literal["running", "waiting", "completed", "faulted", "cancelled"]

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")]


def _an_id(given: str | None) -> str | None:
    if given is not None and (not _ID.fullmatch(given) or ".." in given):
        raise UsageError(
            f"{given[:60]!r} is no id; take one that `parley runs` or `parley inbox` shows"
        )
    return given


@app.command()
def up(
    home: Home = Path(DEFAULT_HOME),
    port_base: Annotated[
        int, typer.Option(help="Port of the coordinator; the others follow it.")
    ] = 8420,
    workflows: Annotated[
        Path | None, typer.Option(help="Folder of NAME/workflow.yaml; default: found.")
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="PARLEY_DATABASE_URL",
            show_envvar=False,
            help="SQLite or Postgres for the coordinator; default: a file in the home.",
        ),
    ] = None,
) -> None:
    """Start a mesh on this machine and keep it running until Ctrl-C."""
    from parley_coordinator.cli.mesh import open_mesh
    from parley_coordinator.cli.settings import grpc_port
    from parley_coordinator.cli.up import run_mesh

    mesh = open_mesh(
        home,
        port_base=port_base,
        workflows=workflows,
        database_url=database_url or None,
        grpc=grpc_port(),
    )
    run_mesh(mesh)


@app.command("run")
@asking("requester")
def start_run(
    workflow: Annotated[str, typer.Argument(help="Name of the workflow.")],
    input_file: Annotated[
        str | None, typer.Option("--input", help="JSON file with the input; - is stdin.")
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option("--set", help="One field of the input: key=text, or key=@file."),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="Of the workflow; default: the current one.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Idempotency key; the same key starts nothing twice.")
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN|MOMENT",
            help="When it is stopped: 30min, 2h, 3d from now, or 2026-05-04T09:30:00Z.",
        ),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIMIT", help="What agents may use up: calls=12, or 'cost=2.50 EUR'; or both."
        ),
    ] = None,
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run until it ends or needs a person.")
    ] = False,
    ask: Ask,
) -> None:
    """Start a run of a workflow."""
    from parley_coordinator.cli.limits import limits
    from parley_coordinator.cli.running import read_input, start

    told = limits(deadline, budget or [], now=datetime.now(UTC))
    given = read_input(input_file, fields or [])
    with ask.coordinator() as coordinator:
        start(
            coordinator,
            workflow,
            given,
            version=version,
            limits=told,
            key=key,
            wait=wait,
            as_json=ask.as_json,
        )


@app.command()
def demo(
    home: Annotated[
        Path | None, typer.Option(help="Keep databases and logs here; default: removed.")
    ] = None,
) -> None:
    """See it all in a minute: three invoices, a person, two crashes, and why."""
    from parley_coordinator.cli.demo import run_demo

    run_demo(home)


@app.command()
@asking("operator")
def runs(
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Show this one.", callback=_an_id)
    ] = None,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    state: Annotated[StateName | None, typer.Option(help="Only in this state.")] = None,
    *,
    stuck: Annotated[
        bool, typer.Option("--stuck", help="Only those that do not get on without somebody.")
    ] = False,
    limit: Limit = 20,
    ask: Ask,
) -> None:
    """List runs, or show one."""
    from parley_coordinator.cli import listing

    with ask.coordinator() as coordinator:
        if run_id is not None:
            listing.show_run(coordinator, run_id, as_json=ask.as_json)
        else:
            listing.list_runs(
                coordinator,
                workflow=workflow,
                state=state,
                stuck=stuck,
                limit=limit,
                as_json=ask.as_json,
            )


@app.command()
@asking("auditor")
def why(
    run_id: Annotated[str, typer.Argument(metavar="RUN", callback=_an_id)],
    *,
    every_value: Annotated[
        bool, typer.Option("--all", help="Also what the checks compared that passed.")
    ] = False,
    ask: Ask,
) -> None:
    """Explain why a run ended, or stands, as it does."""
    from parley_coordinator.cli.output import console, print_json
    from parley_coordinator.cli.why import print_why

    with ask.coordinator() as coordinator:
        explained: dict[str, Any] = coordinator.get("v1", "runs", run_id, "why")
    if ask.as_json:
        print_json(explained)
    else:
        print_why(explained, console(), every_value=every_value)


@app.command()
@asking("approver")
def inbox(
    item_id: Annotated[
        str | None, typer.Argument(metavar="[ITEM]", help="Show this one.", callback=_an_id)
    ] = None,
    limit: Limit = 20,
    *,
    ask: Ask,
) -> None:
    """List the open questions that this account may see, newest first, or show one.

    Who requested something may see the question and not decide it; `parley inbox ITEM` says who may.
    """
    from parley_coordinator.cli import deciding

    with ask.coordinator() as coordinator:
        if item_id is not None:
            deciding.show_item(coordinator, item_id, as_json=ask.as_json)
        else:
            deciding.list_items(coordinator, limit=limit, as_json=ask.as_json)


@app.command()
@asking("approver")
def decide(
    item_id: Annotated[str, typer.Argument(metavar="ITEM", callback=_an_id)],
    outcome: Annotated[str, typer.Argument(help="One of the item's outcomes.")],
    comment: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "",
    digest: Annotated[
        str | None,
        typer.Option(
            help="Of what you read, or its beginning; refused if that has changed."
            " Left out, the question is shown and you are asked."
        ),
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option("--set", help="One field of the form: key=value; JSON, or else a text."),
    ] = None,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Decide what is open now, without being asked.")
    ] = False,
    ask: Ask,
) -> None:
    """Decide an open question; the first decision wins."""
    from parley_coordinator.cli import deciding

    values = deciding.read_values(fields or [])
    deciding.check_confirmable(digest=digest, yes=yes)
    with ask.coordinator() as coordinator:
        deciding.decide(
            coordinator,
            item_id,
            outcome,
            comment=comment,
            digest=digest,
            yes=yes,
            values=values,
            as_json=ask.as_json,
        )


@app.command()
@asking("operator")
def agents(
    skill: Annotated[str | None, typer.Option(help="Only those with this skill.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with a skill of this tag.")] = None,
    *,
    ask: Ask,
) -> None:
    """List the agents of the mesh."""
    from parley_coordinator.cli import listing

    with ask.coordinator() as coordinator:
        listing.list_agents(coordinator, skill=skill, tag=tag, as_json=ask.as_json)


@app.command()
@asking("operator")
def schedules(
    *,
    ask: Ask,
) -> None:
    """List what starts by itself, when it is due, and why the last start failed."""
    from parley_coordinator.cli import listing

    with ask.coordinator() as coordinator:
        listing.list_schedules(coordinator, as_json=ask.as_json)


@app.command()
@asking("operator")
def cancel(
    run_id: Annotated[str, typer.Argument(metavar="RUN", callback=_an_id)],
    reason: Annotated[str, typer.Option(help="Kept with the run.")] = "",
    *,
    ask: Ask,
) -> None:
    """Cancel a run."""
    from parley_coordinator.cli import listing

    with ask.coordinator() as coordinator:
        listing.cancel_run(coordinator, run_id, reason=reason, as_json=ask.as_json)


@app.command()
@asking("operator")
def repair(
    run_id: Annotated[str, typer.Argument(metavar="RUN", callback=_an_id)],
    reason: Annotated[str, typer.Option(help="Why; kept with both runs.")],
    step: Annotated[
        str | None,
        typer.Option(
            "--from", help="Step to go on from, by name or path; default: where it stopped."
        ),
    ] = None,
    arguments: Annotated[
        str | None,
        typer.Option(help="JSON file: with what the agent is called instead; - is stdin."),
    ] = None,
    output_file: Annotated[
        str | None,
        typer.Option("--result", help="JSON file: the output of a step that is skipped."),
    ] = None,
    input_file: Annotated[
        str | None, typer.Option("--input", help="JSON file: start over with this input.")
    ] = None,
    *,
    skip: Annotated[bool, typer.Option("--skip", help="Go on past the step.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Repeat also what had an effect, or may have had one.")
    ] = False,
    ask: Ask,
) -> None:
    """Have a new run go on for one that faulted or was cancelled; what was done is not repeated."""
    from parley_coordinator.cli import repairing

    body = repairing.request(
        reason,
        step=step,
        skip=skip,
        again=again,
        arguments=arguments,
        output=output_file,
        given=input_file,
    )
    with ask.coordinator() as coordinator:
        repairing.repair(coordinator, run_id, body, as_json=ask.as_json)
