"""Runs a scenario's workflow in a whole coordinator: deployed, started over REST, journaled."""

from __future__ import annotations

import copy
import json
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from parley_coordinator import app
from parley_coordinator.governance.accounts import open_tokens
from parley_coordinator.settings import Settings
from parley_coordinator.workflow import interpreter
from parley_coordinator.workflow.rehearsal import Journal
from parley_registry.app import create_app as create_registry
from parley_wire.http import open_http
from parley_wire.serving import Background

from tests.conformance.observing import Trace, observed
from tests.conformance.public_services import ALLOWED, public_services, rerouted
from tests.conformance.running import Played, Stage
from tests.coordinator.world import World

DEADLINE = {"after": {"minutes": 1}}


async def play_in_engine(stage: Stage) -> Played:
    """Deploy the workflow to a coordinator of its own, and run it once."""
    assert stage.document is not None, "the scenario has no workflow"
    trace = Trace()
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(Background(public_services()))
            patch.setattr(interpreter, "Machine", observed(trace))
            patch.setattr(app, "open_http", _rerouting(httpx.URL(server.url)))
            mesh = await _mesh(Path(home), stack)
            deployed = await mesh.http.post(
                f"{mesh.url}/v1/workflows",
                content=json.dumps(deployable(stage.document.json)),
                headers=mesh.as_role("operator") | {"content-type": "application/json"},
            )
            assert deployed.status_code == 201, deployed.text
            run = await mesh.run(stage.document.name, stage.data)
    played = Played(Journal(), trace, run["state"])
    played.output, played.error = run.get("output"), run.get("error") or {}
    return played


def deployable(document: dict[str, Any]) -> dict[str, Any]:
    """Add what a coordinator demands beyond the language, none of which changes what a document does.

    That is: a label and a deadline for every task, and a default where a switch has none.
    """
    document = copy.deepcopy(document)
    for entry in document["do"]:
        for name, task in entry.items():
            task.setdefault("metadata", {}).setdefault("label", name)
            task.setdefault("timeout", DEADLINE)
            cases = task.get("switch", [])
            if cases and all("when" in case for each in cases for case in each.values()):
                cases.append({"otherwise": {"then": task.get("then", "continue")}})
    return document


def _rerouting(server: httpx.URL) -> Any:
    """Return an `open_http` of which the clients for documents connect to one server."""

    def opened(**given: Any) -> httpx.AsyncClient:
        return rerouted(open_http(), server) if "addresses" in given else open_http(**given)

    return opened


async def _mesh(home: Path, stack: AsyncExitStack) -> World:
    registry = Background(create_registry(f"sqlite:///{home / 'registry.db'}"))
    await stack.enter_async_context(registry)
    served = Background()
    (home / "workflows").mkdir()
    served.app = app.create(
        Settings.load(
            {"PARLEY_PUBLIC_URL": served.url, "PARLEY_EGRESS": ALLOWED},
            home=home,
            registry_url=registry.url,
            workflows=home / "workflows",
        )
    )
    await stack.enter_async_context(served)
    http = await stack.enter_async_context(open_http())
    return World(http=http, url=served.url, home=home, tokens=open_tokens(home))
