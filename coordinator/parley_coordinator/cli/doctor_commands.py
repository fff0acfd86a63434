"""`parley doctor` and its options; what it does is in `doctor`."""
# ruff: noqa: PLC0415 - see parley_coordinator.cli: a command imports what it needs, when it runs

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parley_coordinator.cli.asking import Format, Home, Output
from parley_coordinator.cli.settings import DEFAULT_HOME
from parley_coordinator.cli.torture_commands import app

__all__ = ["app"]


@app.command()
def doctor(
    home: Home = Path(DEFAULT_HOME),
    database_url: Annotated[
        str | None,
        typer.Option(help="The coordinator's database; default: PARLEY_DATABASE_URL, or the home."),
    ] = None,
    registry: Annotated[
        str | None, typer.Option(help="URL of the registry; default: PARLEY_REGISTRY_URL.")
    ] = None,
    workflows: Annotated[
        Path | None, typer.Option(help="Folder of NAME/workflow.yaml; default: found.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Say what is wrong with this machine and this installation, and what to do; changes nothing."""
    from parley_coordinator.cli.doctor.examining import examine, show

    findings = examine(home, database_url=database_url, registry_url=registry, workflows=workflows)
    show(findings, as_json=output is Format.JSON)
