"""The composition root: which part fills which port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import secrets
import socket
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlsplit
from uuid import uuid4

from parley_registry.client import RegistryClient
from parley_wire import webhooks as notified
from parley_wire.http import open_http
from parley_wire.server.push_sender import Patience, PushSender

from parley_coordinator.delegation import ids
from parley_coordinator.delegation.agents import KnownAgents
from parley_coordinator.delegation.catalog import read_catalog
from parley_coordinator.delegation.clients import AgentClients
from parley_coordinator.delegation.delegation import Delegation
from parley_coordinator.delegation.gates import Gates
from parley_coordinator.delegation.guarding import AgentGuards
from parley_coordinator.delegation.lines import Lines, PassedOn
from parley_coordinator.delegation.placing import Placing
from parley_coordinator.delegation.pushing import Webhooks
from parley_coordinator.delegation.relaying import RelayedActs
from parley_coordinator.delegation.routing import Routing
from parley_coordinator.delegation.terms import Terms
from parley_coordinator.engine.bus import Bus
from parley_coordinator.engine.calling_back import CallingBack
from parley_coordinator.engine.checking import Checks
from parley_coordinator.engine.deploying import Written
from parley_coordinator.engine.effects import Outside
from parley_coordinator.engine.engine import Engine
from parley_coordinator.engine.events import Events
from parley_coordinator.engine.gathering import Gathering
from parley_coordinator.engine.lease import Lease
from parley_coordinator.engine.notifying import RunWebhooks
from parley_coordinator.engine.nursery import RunNursery
from parley_coordinator.engine.pushes import Pushes
from parley_coordinator.engine.repairing import Repairs
from parley_coordinator.engine.runs import Runs
from parley_coordinator.engine.scheduling import Scheduler
from parley_coordinator.engine.sharing import Alone, Together
from parley_coordinator.engine.workflows import Workflows
from parley_coordinator.errors import InvalidWorkflowError
from parley_coordinator.governance.accounts import Accounts
from parley_coordinator.inbox.inbox import Inbox
from parley_coordinator.protocols.egress import Egress
from parley_coordinator.protocols.performer import Performer
from parley_coordinator.protocols.secrets import Secrets
from parley_coordinator.sandbox.pool import JqPool
from parley_coordinator.settings import SettingsError
from parley_coordinator.store.coordinators import Member
from parley_coordinator.store.opening import open_database
from parley_coordinator.web.a2a.notices import next_notice
from parley_coordinator.web.a2a.pushing import Push
from parley_coordinator.web.a2a.tenants import serving_grpc
from parley_coordinator.web.app import create_app
from parley_coordinator.workflow.document import load_document
from parley_coordinator.workflow.expressions import Expressions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from parley_cards.keys import SigningKey
    from parley_wire.database import Database
    from starlette.applications import Starlette

    from parley_coordinator.engine.sharing import Company
    from parley_coordinator.settings import Settings

logger = logging.getLogger(__name__)

SWEEP_S: Final = 30.0
WEBHOOKS_LOOK_S: Final = 0.5
"""How often to look for runs that have something to tell; another coordinator may have changed them."""
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
    database = open_database(settings.database_url)
    http = open_http(tls=settings.tls)
    registry = RegistryClient(settings.registry_url, http, token=settings.mesh_token)
    gates = Gates(now=_now, limit=settings.agent_concurrency)
    routing = Routing(registry, gates, now=_now, fresh_for=ROUTES_FRESH_FOR)
    clients = AgentClients(http, token=settings.mesh_token)

    checker = JqPool(workers=1)  # of its own: what is only checked must not hold up what runs
    checks = Checks(
        lambda: read_catalog(routing),
        fresh=lambda: read_catalog(routing, fresh=True),
        jq=checker,
        people=accounts.holders,
    )
    workflows = Workflows(database, checks, now=_now, changed=lambda: scheduler.replan())  # noqa: PLW0108 - made below
    jq = JqPool()
    egress = Egress.parse(settings.egress)
    outward = open_http(addresses=egress.addresses, tls=settings.tls)
    patience = timedelta(seconds=settings.patience_s)
    expressions = Expressions(jq)
    terms = Terms(settings.public_url, max_depth=settings.max_depth)
    bus = Bus(
        database,
        signal=lambda run_id: engine.signal(run_id),  # noqa: PLW0108 - made below
        hear=lambda event: gathering.hear(event),  # noqa: PLW0108 - made below
        expressions=expressions,
        now=_now,
    )

    delegation = Delegation(
        routing,
        clients.to,
        placing=Placing(routing, gates, clients.to, terms, new_id=_new_message_id),
        webhooks=Webhooks(settings.public_url, new_token=_new_token),
        patience=patience,
        draw=random.random,
        left=lambda: calling_back.wake(),  # noqa: PLW0108 - made below
    )
    guards = AgentGuards(gates, now=_now, draw=random.random)
    performer = Performer(outward, egress, now=_now, patience=patience, guards=guards)
    calling_back = CallingBack(
        database,
        delegation,
        performer.open_tasks,
        now=_now,
        changed=lambda run_id: engine.changed(run_id),  # noqa: PLW0108 - made below
        draw=random.random,
    )
    outside = Outside(
        delegation=delegation,
        calling_back=calling_back,
        performer=performer,
        secrets=Secrets(settings.secrets),
        bus=bus,
        nursery=RunNursery(database, workflows, lambda: engine, now=_now),
        terms=terms,
        ended=lambda run: scheduler.run_ended(run),  # noqa: PLW0108 - made below
    )
    company = _company(settings, database)
    engine = Engine(
        database,
        company.durable,
        outside,
        expressions=expressions,
        now=_now,
        inline_bytes=settings.inline_bytes,
        claims=company.claims,
    )
    runs = Runs(database, engine, workflows=workflows, terms=terms, now=_now, new_id=_new_id)
    push, sending = _pushing(settings, database, company, accounts)
    scheduler = Scheduler(database, workflows, runs, now=_now)
    gathering = Gathering(
        database,
        expressions=expressions,
        now=_now,
        plan=scheduler.plan,
        complete=scheduler.wake,
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(database.aclose)
            await company.join()
            stack.push_async_callback(company.leave)
            for closed in (http.aclose, outward.aclose, jq.aclose, checker.aclose):
                stack.push_async_callback(closed)
            await workflows.deploy_files(documents)
            # What came before a deadline counts, though we were away when it passed.
            await bus.redeliver(wake=False)
            await engine.launch()
            stack.push_async_callback(engine.close)
            for edge in (
                _sweep(engine, bus),
                calling_back.run(),
                scheduler.run(),
                *sending(),
                *company.edges(engine),
            ):
                task = asyncio.create_task(edge)
                stack.push_async_callback(_stopped, task)
            await stack.enter_async_context(_grpc(settings, app))
            yield

    return create_app(
        runs=runs,
        repairs=Repairs(database, engine, workflows, routing, now=_now, new_id=_new_id),
        workflows=workflows,
        inbox=Inbox(database, now=_now, signal=engine.signal),
        events=Events(database, bus),
        schedules=scheduler,
        accounts=accounts,
        registry=KnownAgents(registry, gates),
        lines=Lines(routing, gates, clients.activating, now=_now),
        passed_on=PassedOn(database, now=_now),
        acts=RelayedActs(database, now=_now),
        grpc=_grpc_address(settings),
        older=settings.older,
        signer=_signer(settings),
        push=push,
        pushes=Pushes(database, signal=engine.signal, now=_now),
        public_url=settings.public_url,
        lifespan=lifespan,
    )


def _pushing(
    settings: Settings, database: Database, company: Company, accounts: Accounts
) -> tuple[Push, Callable[[], Sequence[Coroutine[None, None, None]]]]:
    """Return what workflows answer about webhooks, and what sends to these, once it is to run."""
    webhooks = notified.Webhooks(settings.webhooks or (), tls=settings.tls)
    if settings.webhooks is None:
        return Push(None, webhooks, wake=lambda: None, now=_now), lambda: ()
    outbox = RunWebhooks(
        database, company.claims, people=accounts.named, next_notice=next_notice, now=_now
    )
    sender = PushSender(
        outbox,
        webhooks,
        keys=accounts.signing_keys,
        now=_now,
        patience=Patience(look_s=WEBHOOKS_LOOK_S),
    )
    return Push(outbox, webhooks, wake=sender.wake, now=_now), lambda: (sender.run(),)


def _grpc(settings: Settings, app: Starlette) -> AbstractAsyncContextManager[None]:
    """Return what serves gRPC, if that is wanted."""
    if settings.grpc_port is None:
        return contextlib.nullcontext()
    return serving_grpc(app.state.a2a, f"{settings.host}:{settings.grpc_port}", settings.tls)


def _grpc_address(settings: Settings) -> str | None:
    """Return where others reach gRPC: the host of the public URL."""
    if settings.grpc_port is None:
        return None
    host = urlsplit(settings.public_url).hostname or settings.host
    # Without a scheme it would be taken for an address in the clear.
    return f"{'https://' if settings.tls.serves else ''}{host}:{settings.grpc_port}"


def _signer(settings: Settings) -> SigningKey | None:
    if settings.card_key is None:
        return None
    # Imported when it is needed: cryptography costs a start 80 ms.
    from parley_cards.key_files import read_signing_key  # noqa: PLC0415

    return read_signing_key(settings.card_key)


def _company(settings: Settings, database: Database) -> Company:
    if settings.database_url.startswith("sqlite"):
        return Alone(settings.home / "queue.db")
    host, pid = socket.gethostname(), os.getpid()
    member = Member(f"{host}:{pid}:{_new_id()}", host, pid, version("parley-mesh"))
    lease = Lease(settings.database_url, member, ttl_s=settings.lease_s, end=_end_at_once)
    return Together(database, settings.database_url, lease, now=_now)


def _end_at_once() -> NoReturn:
    os._exit(os.EX_TEMPFAIL)


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


def _new_message_id() -> str:
    return ids.message_id(secrets.token_bytes(ids.RANDOM_BYTES))


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _new_id() -> str:
    return str(uuid4())
