"""CloudEvents over HTTP: three modes, and whatever else somebody sends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from parley_cards.errors import ParleyError
from parley_coordinator.engine.events import checked
from parley_coordinator.web.cloudevents import BATCH, STRUCTURED, read_events
from parley_coordinator.workflow.cloudevents import MAX_BYTES

from tests.coordinator.web.serving import Served

pytestmark = pytest.mark.anyio

EVENT: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "urn:x", "type": "a.b"}
BINARY = {f"ce-{name}": value for name, value in EVENT.items()}


async def test_binary_mode_takes_quotes_off_and_decodes_once(served: Served) -> None:
    headers = {
        **BINARY,
        "ce-subject": '"Ga%C3%9Fe %2541 \\"x\\""',
        "content-type": "application/vnd.shop+json",
    }
    async with served.http("operator") as http:
        response = await http.post("/v1/events", content=b'{"n": 1}', headers=headers)
        (logged,) = (await http.get("/v1/events")).json()["events"]

    assert response.status_code == 202, response.text
    assert logged["receivedFrom"] == "operator"
    assert logged["event"] == {
        **EVENT,
        "subject": 'Gaße %41 "x"',
        "datacontenttype": "application/vnd.shop+json",
        "data": {"n": 1},
    }


async def test_one_event_in_two_modes_is_one_event(served: Served) -> None:
    structured = {**EVENT, "data": {"n": 1}, "subject": None}
    async with served.http("requester") as http:
        one = await http.post("/v1/events", json={"n": 1}, headers=BINARY)
        two = await http.post(
            "/v1/events", content=json.dumps(structured), headers={"content-type": STRUCTURED}
        )

    assert one.json() == {"accepted": 1, "duplicates": 0}
    assert two.json() == {"accepted": 0, "duplicates": 1}


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, b"", 400, "invalid_event"),
        ({"content-type": "application/json"}, json.dumps(EVENT).encode(), 400, "invalid_event"),
        ({"content-type": "application/cloudevents+xml"}, b"<event/>", 400, "invalid_event"),
        ({"content-type": STRUCTURED}, b"[]", 400, "invalid_event"),
        ({"content-type": STRUCTURED}, b'{"id": "1", "id": "2"}', 400, "malformed_json"),
        ({"content-type": BATCH}, b"{}", 400, "invalid_event"),
        ({"content-type": BATCH}, b"[]", 400, "invalid_event"),
        ({"content-type": BATCH}, json.dumps([EVENT] * 101).encode(), 400, "invalid_event"),
        ({**BINARY, "content-type": "text/plain"}, b"x", 400, "invalid_event"),
        ({**BINARY, "content-type": "application/json"}, b"NaN", 400, "malformed_json"),
        ({**BINARY, "ce-subject": "%ff"}, b"", 400, "invalid_event"),
        ({**BINARY, "ce-data": "1"}, b"", 400, "invalid_event"),
        ({**BINARY, "ce-type": ""}, b"", 400, "invalid_event"),
        ({**BINARY, "ce-time": "2026-02-30T00:00:00Z"}, b"", 400, "invalid_event"),
        ({**BINARY, "ce-a_b": "1"}, b"", 400, "invalid_event"),
        (
            {**BINARY, "content-type": "application/json"},
            json.dumps("x" * MAX_BYTES).encode(),
            413,
            "event_too_large",
        ),
        (
            {**BINARY, "content-type": "application/json"},
            json.dumps("x" * 1_100_000).encode(),
            413,
            "body_too_large",
        ),
    ],
)
async def test_what_is_no_event_is_refused_with_a_reason(
    served: Served, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    async with served.http("requester") as http:
        response = await http.post("/v1/events", content=body, headers=headers)

    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.json()["detail"]


async def test_every_reason_is_listed(served: Served) -> None:
    batch = [EVENT, {"specversion": "2", "type": "", "Extra": {}}]
    async with served.http("requester") as http:
        response = await http.post(
            "/v1/events", content=json.dumps(batch), headers={"content-type": BATCH}
        )

    findings = response.json()["findings"]
    assert {each["index"] for each in findings} == {1}
    assert len(findings) == 5


@pytest.mark.parametrize("query", ["after=-1", "after=x", f"after={10**30}", "limit=0", "who=me"])
async def test_an_odd_page_is_refused(served: Served, query: str) -> None:
    async with served.http("auditor") as http:
        assert (await http.get(f"/v1/events?{query}")).status_code == 400


async def test_the_log_is_read_page_by_page_and_by_type(served: Served) -> None:
    batch = [{**EVENT, "id": str(n), "type": f"a.{n % 2}"} for n in range(5)]
    async with served.http("operator") as http:
        await http.post("/v1/events", content=json.dumps(batch), headers={"content-type": BATCH})
        first = (await http.get("/v1/events?limit=3")).json()
        rest = (await http.get(f"/v1/events?limit=3&after={first['next']}")).json()
        end = (await http.get(f"/v1/events?after={rest['next']}")).json()
        odd = (await http.get("/v1/events?type=a.1")).json()

    assert [each["event"]["id"] for each in first["events"] + rest["events"]] == list("01234")
    assert end == {"events": [], "next": rest["next"]}
    assert [each["event"]["id"] for each in odd["events"]] == ["1", "3"]


@pytest.mark.parametrize(("role", "status"), [("requester", 403), ("approver", 403)])
async def test_the_log_is_for_operators_and_auditors(
    served: Served, role: str, status: int
) -> None:
    async with served.http(role) as http:
        assert (await http.get("/v1/events")).status_code == status


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [b"ce-id", b"ce-source", b"ce-type", b"ce-specversion", b"ce-time", b"ce-x"]
        )
        | st.binary(max_size=8).map(lambda raw: b"ce-" + raw),
        st.sampled_from([b"1.0", b"a.b", b"urn:x"]) | st.binary(max_size=30),
    ),
    max_size=8,
)
TYPES = st.sampled_from(["", "application/json", STRUCTURED, BATCH, "text/plain", "a/b+json; x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*EVENT, "data", "time"]) | st.text(max_size=5), inner)
    ),
    max_leaves=15,
)


@settings(max_examples=400, deadline=None)
@example([(b"ce-id", b'"\\')], "application/json", b"")
@given(HEADERS, TYPES, st.binary(max_size=40) | VALUES.map(lambda v: json.dumps(v).encode()))
def test_whatever_comes_is_an_event_or_is_refused_on_purpose(
    headers: list[tuple[bytes, bytes]], kind: str, body: bytes
) -> None:
    try:
        events = checked(read_events([*headers, (b"content-type", kind.encode())], body))
    except ParleyError as error:
        assert error.face.http in (400, 413)
    else:
        assert all(json.dumps(each, ensure_ascii=False).encode() for each in events)
