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
from parley_coordinator.engine.durable import Durable
from parley_coordinator.engine.engine import Engine
from parley_coordinator.engine.runs import Runs
from parley_coordinator.errors import InvalidWorkflowError
from parley_coordinator.governance.accounts import Accounts
from parley_coordinator.inbox.inbox import Inbox
from parley_coordinator.settings import SettingsError
from parley_coordinator.store.tables import METADATA
from parley_coordinator.web.app import create_app
from parley_coordinator.workflow.document import load_document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from parley_cards.card import Card
    from starlette.applications import Starlette

    from parley_coordinator.settings import Settings
    from parley_coordinator.workflow.document import Document

logger = logging.getLogger(__name__)

SWEEP_S: Final = 30.0
ROUTES_FRESH_FOR: Final = timedelta(seconds=5)
FILE_NAME: Final = "workflow.yaml"


def load_documents(folder: Path) -> dict[str, Document]:
    """Load `*/workflow.yaml` below `folder`, by name.

    Raises:
        SettingsError: If there is no such folder.
        InvalidWorkflowError: If a document is not a workflow, or two have one name.
    """
    if not folder.is_dir():
        raise SettingsError(f"there is no folder {folder}; set PARLEY_WORKFLOWS")
    documents: dict[str, Document] = {}
    for path in sorted(folder.glob(f"*/{FILE_NAME}")):
        document = load_document(path.read_bytes(), source=str(path))
        if document.name in documents:
            raise InvalidWorkflowError(f"{path}: another document is named {document.name} too")
        documents[document.name] = document
    return documents


def create(settings: Settings) -> Starlette:
    """Build a coordinator; its lifespan starts and stops everything that runs.

    Raises:
        ParleyError: If a setting, a workflow document, the accounts or the database is unusable.
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

    engine = Engine(
        database,
        Durable(settings.home / "queue.db"),
        Delegation(routing, connect, patience=timedelta(seconds=settings.patience_s)),
        now=_now,
    )
    runs = Runs(database, engine, documents=documents, catalog=catalog, now=_now, new_id=_new_id)
    inbox = Inbox(database, now=_now, signal=engine.signal)

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        await engine.launch()
        sweeper = asyncio.create_task(_sweep(engine))
        try:
            yield
        finally:
            sweeper.cancel()
            await engine.close()
            await http.aclose()
            await database.aclose()

    return create_app(
        runs=runs,
        inbox=inbox,
        accounts=accounts,
        registry=registry,
        public_url=settings.public_url,
        lifespan=lifespan,
    )


async def _sweep(engine: Engine) -> None:
    while True:
        try:
            await engine.tidy()
            await asyncio.sleep(SWEEP_S)
            await engine.sweep()
        except Exception:
            logger.exception("the sweep for lost runs failed, it is tried again")


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return str(uuid4())
