"""The page of a workflow over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from parley_coordinator.governance.access import Role
from parley_coordinator.web import pages

from tests.coordinator.web.memory import REVIEW
from tests.coordinator.web.serving import TOKENS, Served
from tests.coordinator.web.test_rest import problem

pytestmark = pytest.mark.anyio

PAGES = ("", "/diagram.svg", "/outline.txt", "/document.json")
NEWER = REVIEW.replace(b"'1.0.0'", b"'1.1.0'").replace(
    b"label: Review", b"label: '<img src=x onerror=alert(1)>'"
)


async def get(served: Served, path: str = "", role: str | None = "approver") -> httpx.Response:
    async with served.http(role) as http:
        return await http.get(f"/workflows/review{path}")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_the_page_has_title_version_digest_diagram_outline_and_schemas(
    served: Served,
) -> None:
    async with served.http("approver") as http:
        listed = (await http.get("/v1/workflows/review")).json()
    page = await get(served)

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for text in ("Review an amount", "Asks a person about amounts", "1.0.0", listed["digest"]):
        assert text in page.text
    assert '<svg xmlns="http://www.w3.org/2000/svg" class="flow-chart" role="img"' in page.text
    assert '<span class="number">1</span>' in page.text
    assert "<code>amount</code>" in page.text
    assert "<script" not in page.text


async def test_the_links_of_the_page_lead_somewhere(served: Served) -> None:
    page = await get(served)
    links = re.findall(r'href="([^"#]+)"', page.text)

    async with served.http("approver") as http:
        found = {link: await http.get(page.url.join(link)) for link in links}

    assert len(found) == 4
    assert {link: each.status_code for link, each in found.items()} == dict.fromkeys(links, 200)


async def test_diagram_and_outline_come_alone_too(served: Served) -> None:
    diagram, outline = await get(served, "/diagram.svg"), await get(served, "/outline.txt")

    assert diagram.headers["content-type"] == "image/svg+xml; charset=utf-8"
    assert ET.fromstring(diagram.text).attrib["role"] == "img"  # noqa: S314 - ours
    assert outline.headers["content-type"] == "text/plain; charset=utf-8"
    assert "1. Review - sets approved" in outline.text


async def test_nothing_runs_in_the_page_and_nothing_is_loaded_from_elsewhere(
    served: Served,
) -> None:
    page = await get(served)
    policy = page.headers["content-security-policy"]
    styles = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)

    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    for style in styles:
        hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"'sha256-{hashed}'" in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("path", PAGES)
async def test_a_browser_gets_in_with_basic_authentication(served: Served, path: str) -> None:
    async with served.http(None) as http:
        refused = await http.get(f"/workflows/review{path}")
        given = {"authorization": basic("token", TOKENS[Role.REQUESTER])}
        page = await http.get(f"/workflows/review{path}", headers=given)

    problem(refused, 401, "unauthenticated")
    # Each challenge in a header of its own: browsers read no other way.
    assert refused.headers.get_list("www-authenticate") == [
        'Bearer realm="parley"',
        'Basic realm="parley", charset="UTF-8"',
    ]
    assert page.status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        basic("admin", TOKENS[Role.OPERATOR]),
        basic("token", "pt_" + "x" * 40),
        basic("token", ""),
        "Basic !!!",
        "Basic //79",
        "Basic",
    ],
)
async def test_other_credentials_are_refused(served: Served, authorization: str) -> None:
    async with served.http(None) as http:
        page = await http.get("/workflows/review", headers={"authorization": authorization})

    problem(page, 401, "unauthenticated")


async def test_basic_authentication_opens_the_pages_only(served: Served) -> None:
    given = {"authorization": basic("token", TOKENS[Role.OPERATOR])}
    async with served.http(None) as http:
        answers = [
            await http.get("/v1/workflows", headers=given),
            await http.post("/v1/workflows/review:rollback", headers=given),
            await http.post("/workflows/review/a2a", headers=given, json={}),
            await http.post("/workflows/review", headers=given, json={}),
        ]

    for answer in answers:
        problem(answer, 401, "unauthenticated")
        assert answer.headers.get_list("www-authenticate") == ['Bearer realm="parley"']


async def test_a_deployed_version_is_shown_at_once_and_older_ones_by_number(
    served: Served,
) -> None:
    before = await get(served)
    async with served.http("operator") as http:
        deployed = await http.post(
            "/v1/workflows", content=NEWER, headers={"content-type": "application/yaml"}
        )
    after, older = await get(served), await get(served, "?version=1.0.0")

    assert deployed.status_code == 201
    assert older.text == before.text != after.text
    assert "<dd>1.1.0</dd>" in after.text
    assert "&lt;img src=x onerror=alert(1)&gt;" in after.text
    assert "<img" not in after.text
    problem(await get(served, "?version=9.9.9"), 404, "unknown_version")
    problem(await get(served, "?colour=red"), 400, "invalid_request")


async def test_a_workflow_that_is_not_there_has_no_page(served: Served) -> None:
    async with served.http("approver") as http:
        for path in PAGES:
            problem(await http.get(f"/workflows/nothing{path}"), 404, "unknown_workflow")


def large(tasks: int) -> bytes:
    steps = "".join(
        f"  - t{number}: {{metadata: {{label: Task}}, set: {{}}}}\n" for number in range(tasks)
    )
    head = "document: {dsl: '1.0.3', namespace: tests, name: review, version: '2.0.0'}\n"
    return f"{head}timeout: {{after: PT1M}}\ndo:\n{steps}".encode()


async def deploy(served: Served, document: bytes) -> None:
    async with served.http("operator") as http:
        given = {"content-type": "application/yaml"}
        answer = await http.post("/v1/workflows", content=document, headers=given)
    assert answer.status_code == 201


async def test_a_workflow_that_is_too_large_for_a_diagram_has_its_outline(served: Served) -> None:
    await deploy(served, large(401))

    page, outline = await get(served), await get(served, "/outline.txt")

    assert "There is no diagram: review has 401 tasks" in page.text
    assert "<svg" not in page.text
    assert "diagram.svg" not in page.text
    assert '<span class="number">401</span>' in page.text
    assert "401. Task" in outline.text
    problem(await get(served, "/diagram.svg"), 413, "diagram_too_large")


async def test_whoever_asks_for_the_same_page_waits_for_the_same_rendering(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[str] = []
    render = pages._rendered

    def counted(json: dict[str, Any]) -> Any:
        rendered.append(json["document"]["version"])
        return render(json)

    monkeypatch.setattr(pages, "_rendered", counted)
    await deploy(served, large(350))

    answers = await asyncio.gather(*(get(served) for _ in range(12)))

    assert {answer.status_code for answer in answers} == {200}
    assert rendered == ["2.0.0"]
