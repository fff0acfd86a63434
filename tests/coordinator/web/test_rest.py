"""REST over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.coordinator.web.serving import Served

pytestmark = pytest.mark.anyio

START = {"workflow": "review", "input": {"amount": "120.00"}}


async def start(
    served: Served, body: dict[str, Any] = START, *, key: str | None = None
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    async with served.http("requester") as http:
        return await http.post("/v1/runs", json=body, headers=headers)


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"], body["type"]) == (
        status,
        code,
        f"urn:parley:error:{code}",
    )
    return body


async def test_a_new_run_is_created_and_has_a_place(served: Served) -> None:
    response = await start(served)

    assert response.status_code == 201
    assert response.headers["location"] == f"/v1/runs/{response.json()['id']}"
    assert response.json()["requestedBy"] == "requester"


async def test_the_same_key_and_request_give_the_run_again(served: Served) -> None:
    first = await start(served, key="k1")

    again = await start(served, key="k1")

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["location"] == first.headers["location"]


async def test_the_same_key_for_another_request_is_refused(served: Served) -> None:
    await start(served, key="k1")

    other = await start(served, {"workflow": "review", "input": {"amount": "1"}}, key="k1")

    problem(other, 409, "idempotency_conflict")


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
async def test_an_odd_key_is_refused(served: Served, key: str) -> None:
    problem(await start(served, key=key), 400, "invalid_request")


async def test_without_a_token_there_is_a_challenge_and_nothing_else(served: Served) -> None:
    async with served.http(None) as http:
        for path in ("/v1/runs", "/v1/items", "/v1/agents", "/nowhere", "/workflows/review/a2a"):
            response = await http.get(path)

            problem(response, 401, "unauthenticated")
            assert response.headers["www-authenticate"].startswith("Bearer")


async def test_health_description_and_cards_are_public(served: Served) -> None:
    async with served.http(None) as http:
        for path in (
            "/healthz",
            "/openapi.json",
            "/workflows/review/.well-known/agent-card.json",
        ):
            assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_json"),
        (b"{", "malformed_json"),
        (b'{"workflow": "review", "workflow": "x", "input": 1}', "malformed_json"),
        (b'{"workflow": "review", "input": NaN}', "malformed_json"),
        (b"[" * 100 + b"]" * 100, "malformed_json"),
        (b"[]", "invalid_request"),
        (b'{"workflow": "review"}', "invalid_request"),
        (b'{"workflow": 7, "input": 1}', "invalid_request"),
        (b'{"workflow": "review", "input": {"amount": "1"}, "surprise": 1}', "invalid_request"),
        (b'{"workflow": "review", "input": {}}', "invalid_input"),
    ],
)
async def test_a_bad_body_starts_nothing(served: Served, body: bytes, code: str) -> None:
    async with served.http("requester") as http:
        response = await http.post(
            "/v1/runs", content=body, headers={"content-type": "application/json"}
        )

    problem(response, 400, code)
    assert not served.memory.runs


async def test_a_body_of_another_type_is_refused(served: Served) -> None:
    async with served.http("requester") as http:
        response = await http.post("/v1/runs", data={"workflow": "review"})

    assert "Content-Type: application/json" in problem(response, 400, "invalid_request")["detail"]


async def test_a_body_that_is_too_large_is_refused(served: Served) -> None:
    body = {"workflow": "review", "input": {"amount": "x" * 1_100_000}}

    problem(await start(served, body), 413, "body_too_large")


async def test_an_unknown_workflow_is_named_with_those_that_exist(served: Served) -> None:
    response = await start(served, {"workflow": "nope", "input": {}})

    assert problem(response, 404, "unknown_workflow")["known"] == ["review"]


async def test_only_a_requester_starts_runs(served: Served) -> None:
    for role in ("approver", "operator", "auditor"):
        async with served.http(role) as http:
            problem(await http.post("/v1/runs", json=START), 403, "not_permitted")


async def test_runs_come_in_pages_newest_first(served: Served) -> None:
    ids = [(await start(served)).json()["id"] for _ in range(3)]

    async with served.http("requester") as http:
        first = (await http.get("/v1/runs", params={"limit": 2})).json()
        second = (
            await http.get("/v1/runs", params={"limit": 2, "cursor": first["nextCursor"]})
        ).json()

    assert [run["id"] for run in first["runs"] + second["runs"]] == ids[::-1]
    assert second["nextCursor"] == ""
    assert "input" not in first["runs"][0]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "state=odd", "colour=red", "limit=1&limit=2"]
)
async def test_an_odd_query_is_refused(served: Served, query: str) -> None:
    async with served.http("requester") as http:
        problem(await http.get(f"/v1/runs?{query}"), 400, "invalid_request")


async def test_what_is_not_yours_looks_as_if_it_were_not_there(served: Served) -> None:
    run = (await start(served, {"workflow": "review", "input": {"amount": "1"}})).json()["id"]

    async with served.http("approver") as http:
        foreign = problem(await http.get(f"/v1/runs/{run}"), 404, "unknown_run")
        missing = problem(await http.get("/v1/runs/nope"), 404, "unknown_run")

    assert foreign["detail"].replace(run, "nope") == missing["detail"]


async def test_a_person_decides_exactly_what_they_read(served: Served) -> None:
    run = (await start(served)).json()["id"]

    async with served.http("approver") as http:
        item = (await http.get("/v1/items")).json()["items"][0]
        stale = await http.post(
            f"/v1/items/{item['id']}/decision",
            json={"outcome": "approve", "digest": "sha256:" + "0" * 64},
        )
        decided = await http.post(
            f"/v1/items/{item['id']}/decision",
            json={"outcome": "approve", "digest": item["digest"], "comment": "fine"},
        )
        after = (await http.get(f"/v1/runs/{run}")).json()

    assert problem(stale, 409, "stale_digest")["digest"] == item["digest"]
    assert decided.status_code == 200
    assert decided.json()["decision"]["by"] == "approver"
    assert (after["state"], after["output"]) == ("completed", {"approved": True, "n": 2})


async def test_the_first_decision_wins_and_the_second_hears_who_made_it(served: Served) -> None:
    await start(served)

    async with served.http("approver") as http:
        item = (await http.get("/v1/items")).json()["items"][0]
        path = f"/v1/items/{item['id']}/decision"
        await http.post(path, json={"outcome": "approve", "digest": item["digest"]})
        again = await http.post(path, json={"outcome": "approve", "digest": item["digest"]})
        other = await http.post(path, json={"outcome": "reject", "digest": item["digest"]})

    assert again.status_code == 200
    assert problem(other, 409, "already_decided")["decidedBy"] == "approver"


async def test_who_may_not_decide_is_told_so_and_the_item_stays(served: Served) -> None:
    await start(served)
    item = next(iter(served.memory.items.values()))
    body = {"outcome": "approve", "digest": item.digest}

    async with served.http("requester") as http:
        problem(await http.post(f"/v1/items/{item.id}/decision", json=body), 404, "unknown_item")
    async with served.http("operator") as http:
        problem(await http.post(f"/v1/items/{item.id}/decision", json=body), 403, "not_eligible")
    async with served.http("auditor") as http:
        problem(await http.post(f"/v1/items/{item.id}/decision", json=body), 403, "not_permitted")

    assert next(iter(served.memory.items.values())) == item


async def test_a_decision_without_a_digest_is_refused(served: Served) -> None:
    await start(served)

    async with served.http("approver") as http:
        response = await http.post("/v1/items/item-1/decision", json={"outcome": "approve"})

    assert problem(response, 400, "invalid_request")["findings"][0]["path"] == "/digest"


async def test_decided_items_are_listed_on_request(served: Served) -> None:
    await start(served)
    async with served.http("approver") as http:
        item = (await http.get("/v1/items")).json()["items"][0]
        await http.post(
            f"/v1/items/{item['id']}/decision",
            json={"outcome": "reject", "digest": item["digest"]},
        )

        ready = (await http.get("/v1/items")).json()
        decided = (await http.get("/v1/items?state=decided")).json()
        every = (await http.get("/v1/items?state=any")).json()

    assert ready["items"] == []
    assert (
        [each["id"] for each in decided["items"]]
        == [item["id"]]
        == [each["id"] for each in every["items"]]
    )


async def test_only_an_operator_cancels_and_only_once(served: Served) -> None:
    run = (await start(served)).json()["id"]

    async with served.http("requester") as http:
        problem(await http.post(f"/v1/runs/{run}:cancel"), 403, "not_permitted")
    async with served.http("operator") as http:
        cancelled = await http.post(f"/v1/runs/{run}:cancel", json={"reason": "a test"})
        again = await http.post(f"/v1/runs/{run}:cancel")

    assert cancelled.json()["state"] == "cancelled"
    problem(again, 409, "run_finished")


async def test_why_has_the_steps_in_order(served: Served) -> None:
    run = (await start(served)).json()["id"]

    async with served.http("auditor") as http:
        why = (await http.get(f"/v1/runs/{run}/why")).json()

    assert [step["kind"] for step in why["steps"]] == ["started", "asked"]
    assert why["steps"][1]["facts"] == [{"name": "amount", "value": "120.00", "source": "input"}]
    assert why["run"]["id"] == run


async def test_workflows_are_listed_with_their_a2a_address(served: Served) -> None:
    async with served.http("requester") as http:
        listed = (await http.get("/v1/workflows")).json()["workflows"]
        read = (await http.get("/v1/workflows/review")).json()

    assert listed[0]["url"] == f"{served.url}/workflows/review"
    assert listed[0].items() <= read.items()
    assert read["document"]["document"]["name"] == "review"
    assert [each["version"] for each in read["versions"]] == ["1.0.0"]
    assert read["inputSchema"]["type"] == "object"


async def test_agents_are_for_operators_and_auditors(served: Served) -> None:
    async with served.http("requester") as http:
        problem(await http.get("/v1/agents"), 403, "not_permitted")
    async with served.http("operator") as http:
        found = (await http.get("/v1/agents?skill=match-invoice")).json()["agents"]
        none = (await http.get("/v1/agents?health=down")).json()["agents"]

    assert [agent["name"] for agent in found] == ["matching"]
    assert none == []


async def test_a_defect_shows_a_reference_and_no_secret(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served.memory.broken = True
    async with served.http("operator") as http:
        response = await http.get("/v1/runs/run-1")

    body = problem(response, 500, "internal")
    assert "hunter2" not in response.text
    assert body["reference"] in caplog.text


async def test_a_wrong_method_and_a_wrong_path_are_problems_too(served: Served) -> None:
    async with served.http("operator") as http:
        problem(await http.delete("/v1/runs"), 405, "method_not_allowed")
        allowed = (await http.delete("/v1/runs")).headers["allow"]
        one_way = (await http.delete("/v1/runs/run-1:cancel")).headers["allow"]
        head = await http.head("/v1/runs")
        problem(await http.get("/v2"), 404, "not_found")

    assert set(allowed.split(", ")) == {"GET", "HEAD", "POST"}
    assert set(one_way.split(", ")) >= {"POST"}
    assert (head.status_code, head.content) == (200, b"")


class Stream:
    """Server-Sent Events as (event, id, data)."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[tuple[str, str | None, Any]]:
        fields: dict[str, str] = {}
        async for line in self._response.aiter_lines():
            if line.startswith(":"):
                continue
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                yield fields["event"], fields.get("id"), json.loads(fields["data"])
                fields = {}


async def test_events_follow_a_run_to_its_end(served: Served) -> None:
    run = (await start(served)).json()["id"]
    kinds: list[str] = []
    states: list[str] = []

    async with (
        asyncio.timeout(60),
        served.http("approver") as http,
        http.stream("GET", f"/v1/runs/{run}/events") as response,
    ):
        async for event, _, data in Stream(response):
            if event == "entry":
                kinds.append(data["kind"])
            else:
                states.append(data["state"])
                if data["state"] == "waiting":
                    item = next(iter(served.memory.items.values()))
                    await http.post(
                        f"/v1/items/{item.id}/decision",
                        json={"outcome": "approve", "digest": item.digest},
                    )

    assert kinds == ["started", "asked", "decided", "completed"]
    assert (states[0], states[-1]) == ("waiting", "completed")


async def test_a_reconnect_gets_no_row_twice_and_none_less(served: Served) -> None:
    run = (await start(served, {"workflow": "review", "input": {"amount": "5"}})).json()["id"]

    async with asyncio.timeout(60), served.http("requester") as http:
        async with http.stream("GET", f"/v1/runs/{run}/events") as response:
            every = [id_ async for event, id_, _ in Stream(response) if event == "entry"]
        async with http.stream(
            "GET", f"/v1/runs/{run}/events", headers={"Last-Event-ID": "1"}
        ) as response:
            rest = [id_ async for event, id_, _ in Stream(response) if event == "entry"]
        ended = await http.get(f"/v1/runs/{run}/events", headers={"Last-Event-ID": "2"})

    assert every == ["1", "2"]
    assert rest == ["2"]
    assert ended.status_code == 204


async def test_events_of_an_unknown_run_or_from_an_odd_place_are_refused(served: Served) -> None:
    run = (await start(served)).json()["id"]
    async with served.http("requester") as http:
        problem(await http.get("/v1/runs/nope/events"), 404, "unknown_run")
        problem(
            await http.get(f"/v1/runs/{run}/events", headers={"Last-Event-ID": "1e3"}),
            400,
            "invalid_request",
        )
        beyond = await http.get(f"/v1/runs/{run}/events", headers={"Last-Event-ID": "3"})
        problem(beyond, 400, "invalid_request")
        assert "beyond" in beyond.json()["detail"]


async def test_the_api_description_covers_every_operation(served: Served) -> None:
    async with served.http(None) as http:
        described = (await http.get("/openapi.json")).json()

    assert described["openapi"] == "3.1.0"
    operations = {
        each["operationId"] for path in described["paths"].values() for each in path.values()
    }
    assert {"startRun", "listRuns", "explainRun", "followRun", "decideItem"} <= operations
    refs = {
        ref for ref in json.dumps(described).split('"') if ref.startswith("#/components/schemas/")
    }
    assert refs
    assert {ref.rsplit("/", 1)[-1] for ref in refs} <= described["components"]["schemas"].keys()
    assert set(described["components"]["schemas"]["DecideItem"]["required"]) == {
        "outcome",
        "digest",
    }
