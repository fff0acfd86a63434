"""`parley torture` and its options; what it does is in `torturing` and in the kit."""
# ruff: noqa: PLC0415 - see parley_coordinator.cli: a command imports what it needs, when it runs

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parley_coordinator.cli.asking import Format, Output
from parley_coordinator.cli.workflow_commands import app

__all__ = ["app"]


@app.command()
def torture(
    adapter: Annotated[
        str, typer.Option(metavar="NAME|COMMAND", help="The orchestrator to torture.")
    ] = "parley",
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="SCENARIO", help="Only this one; may be repeated, may end in *."),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="TORTURE_DATABASE_URL",
            help="PostgreSQL server for the scenarios that need one; databases are made.",
        ),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the table to this file, too.", dir_okay=False)
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep state and logs of every process in this folder.")
    ] = None,
    *,
    listing: Annotated[
        bool, typer.Option("--list", help="Only show the scenarios, and what each expects.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Play what can go wrong against an orchestrator of A2A agents, and count what its agents did."""
    from parley_coordinator.cli import torturing

    chosen = torturing.chosen(only or [])
    if listing:
        torturing.show(chosen, as_json=output is Format.JSON)
        return
    torturing.run(
        adapter,
        chosen,
        database_url=database_url or None,
        markdown_file=markdown,
        keep=keep,
        as_json=output is Format.JSON,
    )
