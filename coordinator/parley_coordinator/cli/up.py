"""`parley up`: a mesh in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parley_registry.client import RegistryClient, RegistryUnavailableError
from parley_wire.http import open_http
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from parley_coordinator.cli.errors import MeshError
from parley_coordinator.cli.mesh import AGENTS, PORT_BASE, Mesh
from parley_coordinator.cli.output import console, text
from parley_coordinator.cli.settings import DEFAULT_HOME
from parley_coordinator.cli.supervisor import Happened, Supervisor, What
from parley_coordinator.governance.accounts import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from rich.console import Console

START_TIMEOUT_S: Final = 120.0
LOOK_EVERY_S: Final = 0.2


def run_mesh(mesh: Mesh) -> None:
    """Run `mesh` until SIGINT, SIGTERM or SIGHUP; what happens is told on stderr.

    Raises:
        UsageError, InvalidWorkflowError: If it could never come up.
        MeshRunningError: If one runs in the same home.
        MeshError: If a port is taken, or a process does not come up.
    """
    mesh.check_files()
    with mesh.alone():
        mesh.check_ports()
        asyncio.run(_run(mesh))


async def wait_for_agents(mesh: Mesh, *, timeout_s: float = START_TIMEOUT_S) -> None:
    """Wait until the registry knows all agents of the mesh and calls them up.

    Raises:
        MeshError: If that takes too long; names who is missing.
    """
    missing = set(AGENTS)
    try:
        async with asyncio.timeout(timeout_s), open_http() as http:
            registry = RegistryClient(mesh.url("registry"), http, token=mesh.token)
            while True:
                with contextlib.suppress(RegistryUnavailableError):
                    known = [agent.url for agent in await registry.agents(health="up")]
                    missing -= {
                        name for name in AGENTS for url in known if url.startswith(mesh.url(name))
                    }
                if not missing:
                    return
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError as exc:
        raise MeshError(
            f"not registered after {timeout_s:.0f} s: {', '.join(sorted(missing))}"
        ) from exc


async def _run(mesh: Mesh) -> None:
    talk = console(stderr=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # SIGHUP: the terminal went away; what was started in it goes too.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(each, stop.set)
    children = mesh.children()
    progress = Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        console=talk,
        disable=not talk.is_terminal,
    )
    bar = progress.add_task("starting the mesh", total=len(children) + 1)
    teller = _Teller(talk, {child.name: child.url for child in children})

    def tell(happened: Happened) -> None:
        if teller.tell(happened):
            progress.advance(bar)

    supervisor = Supervisor(children, log_dir=mesh.home / "logs", tell=tell)
    try:
        async with supervisor:
            with progress:
                if not await _or_stopped(supervisor.ready(timeout_s=START_TIMEOUT_S), stop):
                    return
                if not await _or_stopped(wait_for_agents(mesh), stop):
                    return
                progress.update(bar, advance=1, description="the mesh is up")
            talk.print(_addresses(mesh))
            # On a line of its own and never broken: to be copied.
            talk.print(text(f"try: {_example(mesh)}"), soft_wrap=True)
            await stop.wait()
    finally:
        with contextlib.suppress(OSError):  # the terminal may be gone
            talk.print(text("stopped", "dim"))


async def _or_stopped(work: Coroutine[object, object, None], stop: asyncio.Event) -> bool:
    """Do `work`; False if `stop` came first."""
    doing, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            return False
        doing.result()
        return True
    finally:
        for task in (doing, stopping):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, MeshError):
                await task


class _Teller:
    """Says what happens to the processes; what is expected only once."""

    def __init__(self, talk: Console, urls: dict[str, str]) -> None:
        self._talk = talk
        self._urls = urls
        self._seen: set[str] = set()

    def tell(self, happened: Happened) -> bool:
        """Return True when a process is up for the first time."""
        name = happened.name
        if happened.what is What.DIED:
            self._talk.print(text(f"! {name} {happened.detail}", "red"))
        elif happened.what is What.HEALTHY:
            again = name in self._seen
            self._seen.add(name)
            words = "is up again" if again else "is up"
            self._talk.print(text(f"✓ {name} {words}: {self._urls[name]}", "green"))
            return not again
        return False


def _addresses(mesh: Mesh) -> Table:
    coordinator = mesh.url("coordinator")
    rows = {
        "REST": f"{coordinator}/v1, described at {coordinator}/openapi.json",
        "A2A": f"{coordinator}/workflows/NAME"
        + ("" if mesh.grpc_base is None else f", and gRPC at 127.0.0.1:{mesh.grpc_base}"),
        "tokens": str(mesh.home / FILE_NAME),
        "logs": str(mesh.home / "logs"),
        "workflows": str(mesh.workflows),
        "stop": "Ctrl-C",
    }
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, text(value))
    return table


def _example(mesh: Mesh) -> str:
    sample = mesh.workflows / "invoice-exception" / "samples" / "above-tolerance.xml"
    elsewhere = mesh.port_base != PORT_BASE or mesh.home != Path(DEFAULT_HOME).absolute()
    where = f" --url {mesh.url('coordinator')} --home {mesh.home}" if elsewhere else ""
    return f"parley run invoice-exception --wait --set invoice=@{sample}{where}"
