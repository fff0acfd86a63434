"""`python -m parley_coordinator`: run the coordinator."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from parley_cards.errors import ParleyError
from parley_wire.logs import log_to_stderr
from parley_wire.serving import serve
from parley_wire.showing import plain

from parley_coordinator.app import create
from parley_coordinator.settings import Settings


def main(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    home: Annotated[Path | None, typer.Option(help="Where the databases and tokens are.")] = None,
    database_url: Annotated[
        str | None, typer.Option(help="SQLite or Postgres; by default a file in the home.")
    ] = None,
    registry: Annotated[str | None, typer.Option(help="URL of the registry.")] = None,
    workflows: Annotated[Path | None, typer.Option(help="Folder of NAME/workflow.yaml.")] = None,
) -> None:
    """Run workflows: REST under /v1, each workflow as an A2A agent under /workflows/NAME."""
    log_to_stderr(logging.WARNING)
    # With a handler of any kind, DBOS adds none of its own, which would write lines of another form.
    logging.getLogger("dbos").addHandler(logging.NullHandler())
    # Who has called which agent through us is told call by call (ADR-0019).
    logging.getLogger("parley_coordinator.web.a2a.relay").setLevel(logging.INFO)
    try:
        settings = Settings.load(
            home=home,
            database_url=database_url,
            host=host,
            port=port,
            registry_url=registry,
            workflows=workflows,
        )
        app = create(settings)
    except ParleyError as exc:
        raise _told(exc) from exc
    serve(app, host=settings.host, port=settings.port, name="coordinator", tls=settings.tls)


def _told(failure: ParleyError) -> typer.Exit:
    sys.stderr.write(f"coordinator: {failure.code}: {plain(failure.message)}\n")
    return typer.Exit(failure.face.exit)


if __name__ == "__main__":
    typer.run(main)
