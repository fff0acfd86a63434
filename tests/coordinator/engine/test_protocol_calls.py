"""Runs that call protocols: through the language, the journal and a whole coordinator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from parley_wire.serving import Background
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tests.coordinator.protocols.bench import Service
from tests.coordinator.world import until, world
from tests.scripted_agent import ScriptedAgent

pytestmark = pytest.mark.anyio

CALL = """\
  - pay:
      metadata: {label: Pay}
      call: http
      with:
        method: post
        endpoint:
          uri: URL/pay
          authentication: {bearer: {use: token}}
        body: ${ . }
      timeout: {after: {seconds: 30}}
use: {secrets: [token]}
"""
CAUGHT = """\
  - safely:
      metadata: {label: Pay safely}
      try:
        - pay:
            metadata: {label: Pay}
            call: http
            with: {method: get, endpoint: "URL/pay"}
            timeout: {after: {seconds: 30}}
      catch:
        as: failure
        do:
          - told: {set: "${ $failure }"}
"""


def secret(home: Path, name: str, text: str) -> None:
    folder = home / "secrets"
    folder.mkdir(parents=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o600)


async def test_a_run_calls_a_service_with_a_secret_that_nobody_sees(tmp_path: Path) -> None:
    service = Service()
    secret(tmp_path, "token", "very-secret-token")
    async with Background(service.app()) as served:
        documents = {"paying": CALL.replace("URL", served.url)}
        async with world(tmp_path, documents, env={"PARLEY_EGRESS": "127.0.0.1"}) as mesh:
            run = await mesh.run("paying", {"amount": "7.00"})
            why = await mesh.get(f"/v1/runs/{run['id']}/why")

    assert run["state"] == "completed", run
    assert json.loads(run["output"]["body"]) == {"amount": "7.00"}
    assert run["output"]["headers"]["authorization"] == "Bearer ***"
    assert service.asked[0].headers["authorization"] == "Bearer very-secret-token"
    assert "very-secret-token" not in json.dumps([run, why])
    assert "very-secret-token" not in _everything(tmp_path)


async def test_a_host_that_nobody_allowed_faults_the_run(tmp_path: Path) -> None:
    secret(tmp_path, "token", "very-secret-token")
    async with world(tmp_path, {"paying": CALL.replace("URL", "http://127.0.0.1:9")}) as mesh:
        run = await mesh.run("paying", {})

    assert run["state"] == "faulted"
    assert run["error"]["status"] == 403
    assert "PARLEY_EGRESS" in run["error"]["detail"]


async def test_a_status_is_caught_by_the_document(tmp_path: Path) -> None:
    service = Service()

    async def busy(_: Request) -> Response:
        return PlainTextResponse("later", 503, headers={"retry-after": "5"})

    service.answer = busy
    async with Background(service.app()) as served:
        documents = {"paying": CAUGHT.replace("URL", served.url)}
        async with world(tmp_path, documents, env={"PARLEY_EGRESS": "127.0.0.1"}) as mesh:
            run = await mesh.run("paying", {})

    assert run["state"] == "completed", run
    failure: dict[str, Any] = run["output"]
    assert failure["type"].endswith("/communication")
    assert (failure["status"], failure["detail"]) == (503, "later (Retry-After: 5)")


async def test_a_run_that_is_cancelled_says_what_was_on_its_way(tmp_path: Path) -> None:
    secret(tmp_path, "token", "very-secret-token")
    async with Background(_cutting) as served:
        documents = {"paying": CALL.replace("URL", served.url)}
        async with world(tmp_path, documents, env={"PARLEY_EGRESS": "127.0.0.1"}) as mesh:
            run = await mesh.start("paying", {})
            item = await mesh.item(run)
            assert item["kind"] == "incident"
            response = await mesh.post(f"/v1/runs/{run}:cancel", {}, role="operator")
            assert response.status_code in (200, 202), response.text
            why = await mesh.get(f"/v1/runs/{run}/why")

    assert "cannot be called back" in json.dumps(why)


ASKS_A_VENDOR = """\
  - race:
      metadata: {label: Race}
      fork:
        compete: true
        branches:
          - ask:
              metadata: {keep: what it has done may stay}
              call: a2a
              with:
                server: {uri: "URL/a2a", authentication: {bearer: {use: token}}}
                method: message/send
                parameters: {message: {parts: [{kind: data, data: {do: work}}]}}
              timeout: {after: {minutes: 5}}
          - pause: {wait: {PAUSE}}
  - more: {metadata: {label: More}, wait: {minutes: 5}}
use: {secrets: [token]}
"""


@pytest.mark.parametrize("pause", ["seconds: 6", "minutes: 4"])
async def test_the_task_of_a_vendor_is_cancelled_when_it_has_lost_or_its_run_is_cancelled(
    tmp_path: Path, pause: str
) -> None:
    secret(tmp_path, "token", "very-secret-token")
    vendor = ScriptedAgent()
    served = Background()
    vendor.url = served.url
    served.app = vendor.app()
    async with served:
        documents = {"top": ASKS_A_VENDOR.replace("URL", served.url).replace("PAUSE", pause)}
        async with world(tmp_path, documents, env={"PARLEY_EGRESS": "127.0.0.1"}) as mesh:
            run = await mesh.start("top", {})

            async def works() -> bool:
                return bool(vendor.tasks)

            async def cancelled() -> bool:
                return vendor.cancelled == list(vendor.tasks)

            await until(works)
            if pause.startswith("minutes"):
                await mesh.post(f"/v1/runs/{run}:cancel", {}, role="operator")
            await until(cancelled)
            why = await mesh.get(f"/v1/runs/{run}/why")

    assert "very-secret-token" not in json.dumps(why)
    assert "very-secret-token" not in _everything(tmp_path)


async def _cutting(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers with half of what it promised."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})
    raise ConnectionError("cut on purpose")


def _everything(home: Path) -> str:
    return "".join(
        path.read_bytes().decode("latin-1") for path in home.glob("*.db*") if path.is_file()
    )
