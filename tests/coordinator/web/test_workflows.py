"""Workflows and their versions over real HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.coordinator.web.memory import REVIEW
from tests.coordinator.web.serving import Served
from tests.coordinator.web.test_rest import problem

pytestmark = pytest.mark.anyio

YAML = {"content-type": "application/yaml"}
NEWER = REVIEW.replace(b"'1.0.0'", b"'1.1.0'").replace(b"Review an amount", b"Look at an amount")
OTHER = REVIEW.replace(b"name: review", b"name: other")
WRONG = REVIEW.replace(b"timeout: {after: {hours: 1}}", b"timeuot: {after: {hours: 1}}")
CARD = "/.well-known/agent-card.json"


async def send(
    served: Served, path: str, raw: bytes, *, role: str = "operator", kind: str = "application/yaml"
) -> httpx.Response:
    async with served.http(role) as http:
        return await http.post(path, content=raw, headers={"content-type": kind})


async def post(served: Served, path: str, body: Any = None) -> httpx.Response:
    async with served.http("operator") as http:
        return await http.post(path, json=body) if body is not None else await http.post(path)


async def get(served: Served, path: str, role: str = "auditor") -> Any:
    async with served.http(role) as http:
        response = await http.get(path)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_new_version_is_created_has_a_place_and_is_deployed_once(served: Served) -> None:
    first = await send(served, "/v1/workflows", NEWER)
    again = await send(served, "/v1/workflows", NEWER)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.headers["location"] == "/v1/workflows/review/versions/1.1.0"
    found = await get(served, first.headers["location"])
    assert found["text"].encode() == NEWER
    assert found["document"]["document"]["version"] == "1.1.0"
    assert (found["deployedBy"], found["current"]) == ("operator", True)


async def test_the_a2a_face_follows_what_is_current_without_a_restart(served: Served) -> None:
    async with served.http("requester") as http:
        before = await http.get("/workflows/review" + CARD)
        nobody = await http.get("/workflows/other" + CARD)
        await send(served, "/v1/workflows", NEWER)
        await send(served, "/v1/workflows", OTHER)
        after = await http.get("/workflows/review" + CARD)
        new = await http.get("/workflows/other" + CARD)
        await post(served, "/v1/workflows/review:roll-back")
        back = await http.get("/workflows/review" + CARD)

    assert nobody.status_code == 404
    assert (before.json()["version"], after.json()["version"]) == ("1.0.0", "1.1.0")
    assert after.json()["name"] == "Look at an amount"
    assert new.json()["skills"][0]["id"] == "other"
    assert back.content == before.content
    assert back.headers["etag"] == before.headers["etag"] != after.headers["etag"]


async def test_a_run_gets_the_current_version_or_the_one_that_it_names(served: Served) -> None:
    await send(served, "/v1/workflows", NEWER)
    body = {"workflow": "review", "input": {"amount": "1"}}
    async with served.http("requester") as http:
        current = await http.post("/v1/runs", json=body)
        named = await http.post("/v1/runs", json={**body, "version": "1.0.0"})
        await post(served, "/v1/workflows/review/versions/1.0.0:deprecate")
        deprecated = await http.post("/v1/runs", json={**body, "version": "1.0.0"})
        unknown = await http.post("/v1/runs", json={**body, "version": "9.0.0"})

    assert (current.json()["version"], named.json()["version"]) == ("1.1.0", "1.0.0")
    problem(deprecated, 409, "version_deprecated")
    assert problem(unknown, 404, "unknown_version")["known"] == ["1.1.0", "1.0.0"]


async def test_who_did_what_is_listed_with_the_versions(served: Served) -> None:
    await send(served, "/v1/workflows", NEWER)
    await post(served, "/v1/workflows/review:roll-back", {"version": "1.0.0"})
    deprecated = await post(served, "/v1/workflows/review/versions/1.1.0:deprecate")

    found = await get(served, "/v1/workflows/review/versions")

    assert deprecated.json()["state"] == "deprecated"
    assert (found["current"], found["previous"]) == ("1.0.0", None)
    assert [(each["version"], each["state"]) for each in found["versions"]] == [
        ("1.1.0", "deprecated"),
        ("1.0.0", "active"),
    ]
    assert [(a["by"], a["act"], a["version"], a["toVersion"]) for a in found["acts"]] == [
        ("files", "deployed", "1.0.0", "1.0.0"),
        ("operator", "deployed", "1.1.0", "1.1.0"),
        ("operator", "rolled-back", "1.0.0", "1.0.0"),
        ("operator", "deprecated", "1.1.0", "1.0.0"),
    ]
    assert (await get(served, "/v1/workflows"))["workflows"][0]["deployedBy"] == "files"


async def test_what_the_rules_forbid_is_refused(served: Served) -> None:
    changed = REVIEW.replace(b"approved: true", b"approved: false")

    taken = await send(served, "/v1/workflows", changed)
    in_use = await post(served, "/v1/workflows/review/versions/1.0.0:deprecate")
    no_way_back = await post(served, "/v1/workflows/review:roll-back")
    nowhere = await post(served, "/v1/workflows/nope:roll-back", {"version": "1.0.0"})
    misspelt = await post(served, "/v1/workflows/review:roll-back", {"versoin": "1.0.0"})

    assert "raise `document.version`" in problem(taken, 409, "version_taken")["detail"]
    problem(in_use, 409, "current_version")
    problem(no_way_back, 409, "no_previous_version")
    problem(nowhere, 404, "unknown_workflow")
    problem(misspelt, 400, "invalid_request")


async def test_a_diff_is_from_one_version_to_another_or_to_the_current_one(served: Served) -> None:
    await send(served, "/v1/workflows", NEWER)

    diff = (await get(served, "/v1/workflows/review/diff?from=1.0.0"))["diff"]
    back = (await get(served, "/v1/workflows/review/diff?from=1.1.0&to=1.0.0"))["diff"]
    async with served.http("auditor") as http:
        half = await http.get("/v1/workflows/review/diff?to=1.0.0")

    assert {"-  title: Review an amount", "+  title: Look at an amount"} <= set(diff.split("\n"))
    assert {"-  title: Look at an amount", "+  title: Review an amount"} <= set(back.split("\n"))
    problem(half, 400, "invalid_request")


async def test_a_check_answers_with_findings_and_changes_nothing(served: Served) -> None:
    fine = await send(served, "/v1/workflows:check", NEWER, role="requester")
    wrong = await send(served, "/v1/workflows:check?source=a/b.yaml", WRONG, role="requester")

    assert (fine.status_code, wrong.status_code) == (200, 200)
    assert (fine.json()["findings"], fine.json()["name"], fine.json()["version"]) == (
        [],
        "review",
        "1.1.0",
    )
    (finding,) = wrong.json()["findings"]
    assert (finding["rule"], finding["line"], finding["column"]) == ("unknown-key", 13, 1)
    assert "timeout" in finding["fix"]
    assert wrong.json()["digest"] is None
    assert [w["version"] for w in (await get(served, "/v1/workflows"))["workflows"]] == ["1.0.0"]


async def test_a_document_with_findings_is_not_deployed_and_all_are_told(served: Served) -> None:
    response = await send(served, "/v1/workflows?source=a.yaml", WRONG)

    body = problem(response, 400, "invalid_workflow")
    assert body["detail"].startswith("a.yaml:13:1: ")
    assert [each["rule"] for each in body["findings"]] == ["unknown-key"]


async def test_a_document_may_be_json(served: Served) -> None:
    raw = b"""{"document": {"dsl": "1.0.3", "namespace": "t", "name": "j", "version": "1.0.0"},
        "do": [{"a": {"metadata": {"label": "A"}, "set": {"x": 1}}}]}"""

    as_json = await send(served, "/v1/workflows", raw, kind="application/json")
    as_yaml = await send(served, "/v1/workflows", raw, kind="text/yaml; charset=utf-8")

    assert (as_json.status_code, as_yaml.status_code) == (201, 200)


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "application/xml"])
async def test_a_document_of_another_type_is_refused(served: Served, kind: str) -> None:
    response = await send(served, "/v1/workflows:check", REVIEW, kind=kind)

    assert "application/yaml" in problem(response, 400, "invalid_request")["detail"]


@pytest.mark.parametrize("query", ["source=", "source=%0A", "source=a&source=b", "sauce=x"])
async def test_an_odd_query_is_refused(served: Served, query: str) -> None:
    response = await send(served, f"/v1/workflows:check?{query}", REVIEW)

    problem(response, 400, "invalid_request")


async def test_a_document_that_is_too_large_is_refused_unread(served: Served) -> None:
    response = await send(served, "/v1/workflows:check", b"#" * (1_048_576 + 1))

    problem(response, 413, "body_too_large")


async def test_others_are_served_while_a_large_document_is_checked(served: Served) -> None:
    large = b"do:\n" + b"- a: {set: {b: [1, 2, 3, 4, 5, 6, 7, 8]}}\n" * 500
    async with served.http(None) as http:
        checks = [asyncio.create_task(send(served, "/v1/workflows:check", large)) for _ in range(3)]
        served_meanwhile = 0
        while not all(each.done() for each in checks):
            assert (await http.get("/healthz")).status_code == 200
            served_meanwhile += 1
    assert {each.result().status_code for each in checks} == {200}
    assert served_meanwhile >= 3


@pytest.mark.parametrize("role", ["requester", "approver", "auditor"])
async def test_only_an_operator_deploys(served: Served, role: str) -> None:
    async with served.http(role) as http:
        for path in (
            "/v1/workflows/review:roll-back",
            "/v1/workflows/review/versions/1.0.0:deprecate",
        ):
            problem(await http.post(path), 403, "not_permitted")
    problem(await send(served, "/v1/workflows", NEWER, role=role), 403, "not_permitted")


async def test_without_a_token_nothing_is_checked(served: Served) -> None:
    async with served.http(None) as http:
        response = await http.post("/v1/workflows:check", content=REVIEW, headers=YAML)

    problem(response, 401, "unauthenticated")


async def test_the_description_says_how_a_document_is_sent(served: Served) -> None:
    async with served.http(None) as http:
        paths = (await http.get("/openapi.json")).json()["paths"]

    sent = paths["/v1/workflows"]["post"]["requestBody"]["content"]
    assert set(sent) == {"application/yaml", "text/yaml", "application/json"}
    queried = paths["/v1/workflows/{workflow}/diff"]["get"]["parameters"]
    assert {each["name"]: each["required"] for each in queried} == {
        "workflow": True,
        "from": True,
        "to": False,
    }
