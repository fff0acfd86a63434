"""Cards of agents that workflows call by address: kept as long as their servers say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from parley_wire.serving import Background
from starlette.requests import Request as Received
from starlette.responses import JSONResponse, Response

from tests.coordinator.protocols.bench import Bench, Service, a2a_request
from tests.scripted_agent import ScriptedAgent

pytestmark = pytest.mark.anyio


async def test_a_card_is_asked_for_again_when_its_server_says_so_and_sent_when_it_has_changed(
    run: Bench,
) -> None:
    agent = ScriptedAgent()
    agent.url = "http://127.0.0.1:1"
    card = agent.card()

    async def serve(request: Received) -> Response:
        headers = {"etag": '"1"', "cache-control": "max-age=120"}
        if request.headers.get("if-none-match") == '"1"':
            return Response(status_code=304, headers=headers)
        return JSONResponse(card, headers=headers)

    service = Service(serve)
    async with Background(service.app()) as published:
        asking = a2a_request(published.url, "tasks/get", parameters={"id": "none"})
        for passed in (0, 119, 2, 119):
            run.clock.forward(timedelta(seconds=passed))
            await run.failure(asking)
            await run.database.write(_forget)

    assert [each.headers.get("if-none-match") for each in service.asked] == [None, '"1"']


def _forget(connection: Any) -> None:
    connection.exec_driver_sql("DELETE FROM journal")
