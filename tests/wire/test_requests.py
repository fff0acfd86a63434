"""Requests that are malformed, hostile or merely unusual, on both bindings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from a2a.types import ListTasksRequest, SendMessageRequest
from a2a.utils.errors import A2AError
from google.protobuf.json_format import ParseDict, ParseError
from hypothesis import given
from hypothesis import strategies as st
from parley_wire.server import Limits
from parley_wire.server.params import list_params, send_params, task_params

from tests.wire.support import PATIENT, Running, message, running_agent

pytestmark = pytest.mark.anyio

V1 = {"a2a-version": "1.0"}
JSON = {**V1, "content-type": "application/json"}


async def raw(agent: Running, content: Any, headers: dict[str, str] = JSON) -> Any:
    return await agent.http.post(f"{agent.url}/a2a", content=content, headers=headers)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":NaN}}', -32700),
        (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"GetTask"}', -32700),
        (b"[" * 2000, -32700),
        (b"[]", -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"GetTask"}]', -32600),
        (b'"hi"', -32600),
        (b"null", -32600),
        (b'{"id":1,"method":"GetTask"}', -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"GetTask"}', -32600),
        (b'{"jsonrpc":"2.0","method":"GetTask"}', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"GetTask"}', -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"GetTask"}', -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"GetTask"}', -32600),
        (b'{"jsonrpc":"2.0","id":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"message/send"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"__init__"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"GetTask"}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":[]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":""}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":7}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"GetExtendedAgentCard"}', -32004),
        (b'{"jsonrpc":"2.0","id":1,"method":"ListTaskPushNotificationConfigs"}', -32003),
    ],
)
async def test_a_malformed_json_rpc_request_is_its_error(
    agent: Running, content: bytes, code: int
) -> None:
    response = await raw(agent, content)

    assert response.status_code == 200
    assert response.json()["error"]["code"] == code
    assert response.json()["jsonrpc"] == "2.0"


@pytest.mark.parametrize("request_id", [1, "a", None, 10**15, "ü\n"])
async def test_the_id_comes_back_as_it_was_sent(agent: Running, request_id: Any) -> None:
    body = {"jsonrpc": "2.0", "id": request_id, "method": "ListTasks"}

    assert (await raw(agent, json.dumps(body))).json()["id"] == request_id


@pytest.mark.parametrize(
    ("headers", "query", "spoken"),
    [
        ({"a2a-version": "1.0"}, "", True),
        ({"a2a-version": "1.0.7"}, "", True),
        ({}, "?A2A-Version=1.0", True),
        ({}, "", False),
        ({"a2a-version": ""}, "", False),
        ({"a2a-version": "0.3"}, "", False),
        ({"a2a-version": "1.7"}, "", False),
        ({"a2a-version": "1"}, "", False),
        ({"a2a-version": "1.0-beta"}, "", False),
        ({"a2a-version": "latest"}, "", False),
    ],
)
async def test_exactly_version_one_zero_is_spoken(
    agent: Running, headers: dict[str, str], query: str, *, spoken: bool
) -> None:
    rest = await agent.http.get(f"{agent.url}/rest/tasks{query}", headers=headers)
    rpc = await agent.http.post(
        f"{agent.url}/a2a{query}",
        json={"jsonrpc": "2.0", "id": 1, "method": "ListTasks"},
        headers=headers,
    )

    assert ("result" in rpc.json()) is spoken
    assert (rest.status_code == 200) is spoken
    if not spoken:
        assert rpc.json()["error"]["code"] == -32009
        assert rest.json()["error"]["details"][0]["reason"] == "VERSION_NOT_SUPPORTED"


@pytest.mark.parametrize(
    "change",
    [
        {"messageId": ""},
        {"messageId": "m" * 257},
        {"contextId": "c" * 257},
        {"role": "ROLE_AGENT"},
        {"role": "ROLE_UNSPECIFIED"},
        {"role": "somebody"},
        {"parts": []},
        {"parts": [{}]},
        {"parts": [{"text": "a", "data": {}}]},
        {"parts": [{"text": 7}]},
        {"parts": [{"raw": "not base64!"}]},
        {"parts": [{"metadata": {"a": 1}}]},
        {"parts": "hi"},
        {"parts": [{"text": "a"}] * 257},
        {"metadata": "hi"},
        {"metadata": {"a": 1}, "messageId": 7},
        {"referenceTaskIds": [1]},
        {"extensions": "urn:x"},
    ],
)
@pytest.mark.parametrize("path", ["message:send", "message:stream"])
async def test_a_malformed_message_is_refused_before_any_work(
    agent: Running, change: dict[str, Any], path: str
) -> None:
    sent = {**message("hi"), **change}

    method = {"message:send": "SendMessage", "message:stream": "SendStreamingMessage"}[path]
    rpc = await agent.rpc(method, {"message": sent})
    rest = await agent.http.post(f"{agent.url}/rest/{path}", json={"message": sent}, headers=V1)

    assert rpc["error"]["code"] == -32602
    assert rpc["error"]["data"][0]["reason"] == "INVALID_PARAMS"
    assert rest.status_code == 400
    assert rest.json()["error"]["status"] == "INVALID_ARGUMENT"
    assert agent.tester.started == {}
    assert (await agent.rpc("ListTasks"))["result"]["totalSize"] == 0


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"message": None},
        {"message": "hi"},
        {"message": message("hi"), "tenant": "acme"},
        {"message": message("hi"), "configuration": {"historyLength": -1}},
        {"message": message("hi"), "configuration": {"historyLength": "many"}},
        {"message": message("hi"), "configuration": []},
    ],
)
async def test_malformed_parameters_are_refused(agent: Running, params: Any) -> None:
    assert (await agent.rpc("SendMessage", params))["error"]["code"] == -32602
    assert agent.tester.started == {}


async def test_a_push_configuration_is_refused_instead_of_ignored(agent: Running) -> None:
    configuration = {"taskPushNotificationConfig": {"url": "https://example.com/hook"}}

    refused = await agent.rpc(
        "SendMessage", {"message": message("hi"), "configuration": configuration}
    )

    assert refused["error"]["code"] == -32003
    assert agent.tester.started == {}


async def test_the_other_forms_of_protojson_are_understood(agent: Running) -> None:
    """A2A 1.0 5.5: snake_case names, numbers for enums, null for what is not set."""
    sent = {
        "message_id": "m1",
        "context_id": "c1",
        "role": 1,
        "task_id": None,
        "parts": [{"text": "hi", "media_type": "text/plain"}, {"raw": "aGk"}],
        "from_a_later_version": {"x": 1},
    }

    answer = await agent.rpc(
        "SendMessage", {"message": sent, "configuration": {"history_length": "5"}}
    )

    task = answer["result"]["task"]
    assert task["contextId"] == "c1"
    assert task["history"][0] == {
        "messageId": "m1",
        "contextId": "c1",
        "role": "ROLE_USER",
        "parts": [{"text": "hi", "mediaType": "text/plain"}, {"raw": "aGk="}],
    }


async def test_numbers_arrive_exactly(agent: Running) -> None:
    data = {"int": 3, "big": 2**63, "float": 0.1, "zero": 0, "text": "1e3", "null": None}

    await agent.rpc("SendMessage", {"message": message("hi", data=data)})

    (seen,) = agent.tester.seen
    assert seen.data == data
    assert isinstance(seen.data["int"], int)
    assert isinstance(seen.data["big"], int)


async def test_a_body_over_the_limit_is_refused(tmp_path: Path) -> None:
    async with running_agent(tmp_path, limits=Limits(body_bytes=2000)) as agent:
        large = {"message": message("x" * 2000)}
        rpc = await raw(agent, json.dumps(large))
        rest = await agent.http.post(f"{agent.url}/rest/message:send", json=large, headers=V1)

        assert (rpc.status_code, rpc.json()["error"]["code"]) == (413, -32600)
        assert (rest.status_code, rest.json()["error"]["code"]) == (413, 413)
        assert agent.tester.started == {}


@pytest.mark.parametrize("kind", ["text/plain", "", "application/xml", "multipart/form-data"])
async def test_another_content_type_is_refused(agent: Running, kind: str) -> None:
    headers = {**V1, "content-type": kind}
    rpc = await raw(agent, b'{"jsonrpc":"2.0","id":1,"method":"ListTasks"}', headers)
    rest = await agent.http.post(
        f"{agent.url}/rest/message:send", content=b'{"message":{}}', headers=headers
    )

    assert rpc.json()["error"]["code"] == -32005
    assert rest.status_code == 415
    assert rest.json()["error"]["details"][0]["reason"] == "CONTENT_TYPE_NOT_SUPPORTED"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "", 404),
        ("GET", "nothing", 404),
        ("GET", "message:send", 404),
        ("POST", "message:other", 404),
        ("POST", "tasks", 404),
        ("POST", "tasks/x:explode", 404),
        ("POST", "tasks/x", 404),
        ("GET", "tasks/x/y/z", 404),
        ("POST", "acme/message:send", 404),
        ("GET", "tasks/x", 404),
        ("POST", "tasks/x:subscribe", 404),
        ("GET", "extendedAgentCard", 400),
        ("POST", "tasks/x/pushNotificationConfigs", 400),
        ("DELETE", "tasks/x/pushNotificationConfigs/y", 400),
        ("GET", "tasks?pageSize=many", 400),
        ("GET", "tasks?includeArtifacts=perhaps", 400),
        ("GET", "tasks?status=BOGUS", 400),
        ("GET", "tasks/x?historyLength=-1", 400),
        ("PATCH", "tasks/x", 405),
    ],
)
async def test_every_refusal_over_rest_is_a_json_error(
    agent: Running, method: str, path: str, status: int
) -> None:
    url = f"{agent.url}/rest/{path}"
    response = await agent.http.request(method, url, headers=V1)

    assert response.status_code == status
    assert response.headers["content-type"] in {"application/json", "application/problem+json"}
    body = response.json()
    assert body.get("error", body)["code"] in {status, "method_not_allowed"}


async def test_a_card_is_served_byte_for_byte_with_a_strong_etag(agent: Running) -> None:
    url = f"{agent.url}/.well-known/agent-card.json"
    first = await agent.http.get(url)
    etag = first.headers["etag"]

    assert first.content == agent.card.raw
    assert etag.startswith('"sha256:')
    assert "max-age" in first.headers["cache-control"]
    for asked in (etag, f'"x", W/{etag}', "*"):
        again = await agent.http.get(url, headers={"if-none-match": asked})
        assert (again.status_code, again.content) == (304, b"")
    assert (await agent.http.get(url, headers={"if-none-match": '"x"'})).status_code == 200


def json_of(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = ["message", "messageId", "role", "parts", "text", "data", "configuration", "id", "x"]
    return st.recursive(
        st.none() | st.booleans() | numbers | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=4)
        ),
        max_leaves=12,
    )


json_values = json_of(st.integers() | st.floats() | st.sampled_from([10**399, -(2**63), -0.0]))
doubles = json_of(st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False))
"""What protobuf can hold; ours holds larger integers too."""


@PATIENT
@given(json_values)
def test_no_parameters_at_all_end_in_anything_but_an_a2a_error(value: Any) -> None:
    for read in (send_params, list_params, task_params):
        try:
            read(value)
        except A2AError:
            continue


@PATIENT
@given(st.dictionaries(st.sampled_from(["messageId", "contextId", "role"]), doubles), st.data())
def test_what_is_taken_as_a_message_protobuf_takes_too(
    change: dict[str, Any], data: st.DataObject
) -> None:
    parts = data.draw(
        st.lists(st.fixed_dictionaries({}, optional={"text": doubles, "data": doubles}))
    )
    params = {"message": {**message("hi"), "parts": parts, **change}}
    try:
        taken = send_params(params)
    except A2AError:
        return
    try:
        ParseDict({"message": taken.message}, SendMessageRequest())
    except ParseError as exc:  # pragma: no cover - the counterexample
        pytest.fail(f"{taken.message}: {exc}")


@PATIENT
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "pageSize": st.integers(-5, 200),
            "status": st.text()
            | st.integers(-3, 12)
            | st.lists(st.none())
            | st.sampled_from(["TASK_STATE_WORKING"]),
            "statusTimestampAfter": st.text() | st.datetimes().map(lambda at: at.isoformat() + "Z"),
        },
    )
)
def test_list_parameters_are_never_ignored(params: dict[str, Any]) -> None:
    try:
        taken = list_params(params)
    except A2AError:
        return
    ParseDict({k: v for k, v in params.items() if k != "statusTimestampAfter"}, ListTasksRequest())
    assert 1 <= taken.page_size <= 100
    assert bool(taken.changed_since) == bool(params.get("statusTimestampAfter"))
