"""`python -m parley_coordinator`: run the coordinator."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from parley_cards.errors import ParleyError
from parley_wire.serving import serve

from parley_coordinator.app import create
from parley_coordinator.settings import Settings


def main(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    home: Annotated[Path | None, typer.Option(help="Where the databases and tokens are.")] = None,
    registry: Annotated[str | None, typer.Option(help="URL of the registry.")] = None,
    workflows: Annotated[Path | None, typer.Option(help="Folder of NAME/workflow.yaml.")] = None,
) -> None:
    """Run workflows: REST under /v1, each workflow as an A2A agent under /workflows/NAME."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        settings = Settings.load(
            home=home, host=host, port=port, registry_url=registry, workflows=workflows
        )
        app = create(settings)
    except ParleyError as exc:
        sys.stderr.write(f"coordinator: {exc.code}: {exc.message}\n")
        raise typer.Exit(exc.face.exit) from exc
    serve(app, host=settings.host, port=settings.port, name="coordinator")


if __name__ == "__main__":
    typer.run(main)
