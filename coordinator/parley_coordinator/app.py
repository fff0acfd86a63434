"""The composition root: which part fills which port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from parley_registry.client import RegistryClient
from parley_wire.client import AgentClient
from parley_wire.database import Database
from parley_wire.http import open_http

from parley_coordinator.delegation.catalog import AgentCatalog, read_catalog
from parley_coordinator.delegation.delegation import Delegation
from parley_coordinator.delegation.routing import Routing
from parley_coordinator.engine.bus import Bus
from parley_coordinator.engine.checking import Checks
from parley_coordinator.engine.deploying import Written
from parley_coordinator.engine.durable import Durable
from parley_coordinator.engine.effects import Outside
from parley_coordinator.engine.engine import Engine
from parley_coordinator.engine.events import Events
from parley_coordinator.engine.gathering import Gathering
from parley_coordinator.engine.nursery import RunNursery
from parley_coordinator.engine.runs import Runs
from parley_coordinator.engine.scheduling import Scheduler
from parley_coordinator.engine.workflows import Workflows
from parley_coordinator.errors import InvalidWorkflowError
from parley_coordinator.governance.accounts import Accounts
from parley_coordinator.inbox.inbox import Inbox
from parley_coordinator.protocols.egress import Egress
from parley_coordinator.protocols.performer import Performer
from parley_coordinator.protocols.secrets import Secrets
from parley_coordinator.sandbox.pool import JqPool
from parley_coordinator.settings import SettingsError
from parley_coordinator.store.tables import METADATA
from parley_coordinator.web.app import create_app
from parley_coordinator.workflow.document import load_document
from parley_coordinator.workflow.expressions import Expressions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from parley_cards.card import Card
    from starlette.applications import Starlette

    from parley_coordinator.model import Run
    from parley_coordinator.settings import Settings

logger = logging.getLogger(__name__)

SWEEP_S: Final = 30.0
ROUTES_FRESH_FOR: Final = timedelta(seconds=5)
FILE_NAME: Final = "workflow.yaml"


def load_documents(folder: Path) -> list[Written]:
    """Load `*/workflow.yaml` below `folder`.

    Raises:
        SettingsError: If there is no such folder, or a file cannot be read.
        InvalidWorkflowError: If a document is not a workflow, or two have one name.
    """
    if not folder.is_dir():
        raise SettingsError(f"there is no folder {folder}; set PARLEY_WORKFLOWS")
    found: dict[str, Written] = {}
    for path in sorted(folder.glob(f"*/{FILE_NAME}")):
        try:
            raw = path.read_bytes()
        except OSError as exc:
            raise SettingsError(f"cannot read {path}: {exc.strerror}") from exc
        document = load_document(raw, source=str(path))
        if document.name in found:
            raise InvalidWorkflowError(f"{path}: another document is named {document.name} too")
        found[document.name] = Written(document, raw, source=str(path))
    return list(found.values())


def create(settings: Settings) -> Starlette:
    """Build a coordinator; its lifespan starts and stops everything that runs.

    Raises:
        ParleyError: If a setting, a workflow document, the accounts or the database is unusable.
            A document that changed without a new version ends the start of the lifespan.
    """
    documents = load_documents(settings.workflows)
    settings.home.mkdir(parents=True, exist_ok=True)
    accounts = Accounts.open(settings.home)
    database = Database(f"sqlite:///{settings.home / 'coordinator.db'}", METADATA)
    http = open_http()
    registry = RegistryClient(settings.registry_url, http, token=settings.mesh_token)
    routing = Routing(registry, now=_now, fresh_for=ROUTES_FRESH_FOR)
    clients: dict[str, AgentClient] = {}

    def connect(card: Card) -> AgentClient:
        if card.digest not in clients:
            clients[card.digest] = AgentClient(card, http, token=settings.mesh_token)
        return clients[card.digest]

    async def catalog() -> AgentCatalog:
        return await read_catalog(routing)

    checker = JqPool(workers=1)  # of its own: what is only checked must not hold up what runs
    checks = Checks(catalog, jq=checker, people=accounts.holders)
    workflows = Workflows(database, checks, now=_now, changed=lambda: scheduler.replan())  # noqa: PLW0108 - made below
    jq = JqPool()
    egress = Egress.parse(settings.egress)
    outward = open_http(addresses=egress.addresses)
    patience = timedelta(seconds=settings.patience_s)
    expressions = Expressions(jq)
    bus = Bus(
        database,
        signal=lambda run_id: engine.signal(run_id),  # noqa: PLW0108 - made below
        hear=lambda event: gathering.hear(event),  # noqa: PLW0108 - made below
        expressions=expressions,
        now=_now,
    )

    async def ended(run: Run) -> None:
        scheduler.run_ended(run)
        await bus.redeliver()  # the end itself may be an event

    outside = Outside(
        delegation=Delegation(routing, connect, patience=patience),
        performer=Performer(outward, egress, now=_now, patience=patience),
        secrets=Secrets(settings.secrets),
        bus=bus,
        nursery=RunNursery(database, workflows, lambda: engine, now=_now),
        ended=ended,
    )
    engine = Engine(
        database,
        Durable(settings.home / "queue.db"),
        outside,
        expressions=expressions,
        now=_now,
    )
    runs = Runs(database, engine, workflows=workflows, now=_now, new_id=_new_id)
    scheduler = Scheduler(database, workflows, runs, now=_now)
    gathering = Gathering(
        database,
        expressions=expressions,
        now=_now,
        plan=scheduler.plan,
        complete=scheduler.wake,
    )
    inbox = Inbox(database, now=_now, signal=engine.signal)

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(database.aclose)
            stack.push_async_callback(http.aclose)
            stack.push_async_callback(outward.aclose)
            stack.push_async_callback(jq.aclose)
            stack.push_async_callback(checker.aclose)
            await workflows.deploy_files(documents)
            # What came before a deadline counts, though we were away when it passed.
            await bus.redeliver(wake=False)
            await engine.launch()
            stack.push_async_callback(engine.close)
            for edge in (_sweep(engine, bus), scheduler.run()):
                task = asyncio.create_task(edge)
                stack.push_async_callback(_stopped, task)
            yield

    return create_app(
        runs=runs,
        workflows=workflows,
        inbox=inbox,
        events=Events(database, bus),
        schedules=scheduler,
        accounts=accounts,
        registry=registry,
        public_url=settings.public_url,
        lifespan=lifespan,
    )


async def _stopped(task: asyncio.Task[None]) -> None:
    """Return once a task is over, so that it finds nothing closed under it."""
    task.cancel()
    await asyncio.wait({task})


async def _sweep(engine: Engine, bus: Bus) -> None:
    while True:
        try:
            await bus.redeliver()
            await engine.tidy()
            await asyncio.sleep(SWEEP_S)
            await engine.sweep()
        except Exception:
            logger.exception("the sweep for lost runs failed, it is tried again")
            await asyncio.sleep(1)


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return str(uuid4())
