"""`python -m parley_coordinator`: run the coordinator."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from parley_cards.errors import ParleyError
from parley_wire.serving import serve

from parley_coordinator.app import create
from parley_coordinator.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


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
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
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
    starting = _Starting(app)
    logging.getLogger("uvicorn.error").addFilter(lambda _: starting.failure is None)
    try:
        serve(starting, host=settings.host, port=settings.port, name="coordinator")
    except SystemExit as exc:
        if starting.failure is None:
            raise
        raise _told(starting.failure) from exc


class _Starting:
    """An app whose lifespan may fail on purpose; the server would log that as a defect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.failure: ParleyError | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failed: Message | None = None

        async def hold(message: Message) -> None:
            # Starlette says that it failed before it raises why.
            nonlocal failed
            if message["type"] == "lifespan.startup.failed":
                failed = message
            else:
                await send(message)

        try:
            await self._app(scope, receive, hold)
        except ParleyError as exc:
            if failed is None:
                raise
            self.failure = exc
            await send({"type": "lifespan.startup.failed", "message": ""})
        except BaseException:
            if failed is not None:
                await send(failed)
            raise


def _told(failure: ParleyError) -> typer.Exit:
    sys.stderr.write(f"coordinator: {failure.code}: {failure.message}\n")
    return typer.Exit(failure.face.exit)


if __name__ == "__main__":
    typer.run(main)
