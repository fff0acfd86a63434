"""`call: openapi`: finding an operation in a published document, and writing its request."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from parley_coordinator.protocols.http import Message
from parley_coordinator.protocols.openapi import filled
from parley_coordinator.protocols.openapi_document import operation_of
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_wire.serving import Background
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.coordinator.protocols.bench import PATIENT, Bench, Service, openapi_request

pytestmark = pytest.mark.anyio

FROM = httpx.URL("https://api.example.com/docs/openapi.json")


def new(operation: dict[str, Any], path: str = "/pets/{id}", **more: Any) -> dict[str, Any]:
    method = more.pop("method", "post")
    item = {method: {"operationId": "act", **operation}}
    return {"openapi": "3.1.0", "info": {}, "paths": {path: item}, **more}


def old(operation: dict[str, Any], path: str = "/pets", **more: Any) -> dict[str, Any]:
    method = more.pop("method", "post")
    item = {method: {"operationId": "act", **operation}}
    return {"swagger": "2.0", "info": {}, "paths": {path: item}, **more}


def message(document: dict[str, Any], **arguments: Any) -> Message:
    return filled(operation_of(document, "act", FROM), arguments)


def problem(document: Any, **arguments: Any) -> WorkflowError:
    with pytest.raises(WorkflowError) as caught:
        message(document, **arguments)
    return caught.value


def parameter(name: str, where: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": where, **more}


def test_parameters_go_where_the_document_says() -> None:
    document = new(
        {
            "parameters": [
                parameter("id", "path", required=True),
                parameter("tag", "query"),
                parameter("X-Trace", "header"),
                parameter("theme", "cookie"),
            ],
            "requestBody": {"content": {"application/json": {}}},
        }
    )

    found = message(
        document, **{"id": "a/b c", "tag": ["x", "y"], "X-Trace": 7, "theme": "dark", "size": 3}
    )

    assert found.method == "POST"
    assert str(found.url) == "https://api.example.com/pets/a%2Fb%20c?tag=x&tag=y"
    assert found.headers["x-trace"] == "7"
    assert found.headers["cookie"] == "theme=dark"
    assert found.content == b'{"size":3}'


@pytest.mark.parametrize(
    ("more", "value", "query"),
    [
        ({}, ["a", "b"], "q=a&q=b"),
        ({}, {"a": 1, "b": "x y"}, "a=1&b=x%20y"),
        ({"explode": False}, ["a,b", "c"], "q=a%2Cb,c"),
        ({"explode": False}, {"a": 1}, "q=a,1"),
        ({"style": "spaceDelimited"}, ["a", "b"], "q=a%20b"),
        ({"style": "pipeDelimited"}, ["a", "b"], "q=a%7Cb"),
        ({"style": "deepObject"}, {"a": 1, "b": "c"}, "q%5Ba%5D=1&q%5Bb%5D=c"),
        ({"content": {"application/json": {}}}, {"a": [1]}, "q=%7B%22a%22%3A%5B1%5D%7D"),
        ({}, True, "q=true"),
        ({}, [], ""),
    ],
)
def test_a_query_is_written_in_its_style(more: dict[str, Any], value: Any, query: str) -> None:
    document = new({"parameters": [parameter("q", "query", **more)]}, path="/pets", method="get")

    assert message(document, q=value).url.query.decode() == query


@pytest.mark.parametrize(
    ("form", "query"),
    [
        ({}, "q=a%20b,c"),
        ({"collectionFormat": "csv"}, "q=a%20b,c"),
        ({"collectionFormat": "ssv"}, "q=a%20b%20c"),
        ({"collectionFormat": "tsv"}, "q=a%20b%09c"),
        ({"collectionFormat": "pipes"}, "q=a%20b%7Cc"),
        ({"collectionFormat": "multi"}, "q=a%20b&q=c"),
    ],
)
def test_a_query_of_version_2_is_written_in_its_collection_format(
    form: dict[str, Any], query: str
) -> None:
    document = old({"parameters": [parameter("q", "query", type="array", **form)]}, method="get")

    assert message(document, q=["a b", "c"]).url.query.decode() == query


def test_a_path_and_a_header_take_arrays_and_objects() -> None:
    document = new(
        {
            "parameters": [
                parameter("id", "path", required=True),
                parameter("X-List", "header", explode=True),
            ]
        },
        method="get",
    )

    found = message(document, **{"id": ["a", "b/c"], "X-List": {"k": "v", "n": 1}})

    assert str(found.url) == "https://api.example.com/pets/a,b%2Fc"
    assert found.headers["x-list"] == "k=v,n=1"


def test_what_is_required_is_asked_for_by_name_before_anything_is_sent() -> None:
    document = new(
        {
            "parameters": [parameter("id", "path"), parameter("q", "query", required=True)],
            "requestBody": {"required": True, "content": {"application/json": {}}},
        }
    )

    error = problem(document, q=None)

    assert error.is_a(Standard.VALIDATION)
    assert error.detail == "missing: id, q, body"


def test_what_the_operation_does_not_have_is_refused_by_name() -> None:
    error = problem(new({}, path="/pets"), wrong=1)

    assert error.is_a(Standard.VALIDATION)
    assert "wrong" in (error.detail or "")


@pytest.mark.parametrize("value", ["", ".", "..", []])
def test_a_path_does_not_change_its_meaning(value: Any) -> None:
    document = new({"parameters": [parameter("id", "path")]}, path="/pets/{id}/owner")

    assert problem(document, id=value).is_a(Standard.VALIDATION)


def test_the_whole_body_may_be_given_by_name() -> None:
    document = new(
        {"requestBody": {"content": {"application/vnd.x+json": {}, "text/plain": {}}}}, path="/pets"
    )

    found = message(document, body=["a", None])

    assert found.headers["content-type"] == "application/vnd.x+json"
    assert found.content == b'["a",null]'
    assert message(document, body="text").content == b'"text"'
    assert problem(document, body={}, more=1).is_a(Standard.VALIDATION)


def test_a_body_of_version_2_has_the_name_of_its_parameter() -> None:
    document = old(
        {"parameters": [parameter("pet", "body", required=True)]},
        host="pets.example.com",
        basePath="/v2",
        schemes=["http", "https"],
    )

    found = message(document, pet={"name": "Rex"})

    assert str(found.url) == "https://pets.example.com/v2/pets"
    assert found.content == b'{"name":"Rex"}'
    assert message(document, name="Rex").content == b'{"name":"Rex"}'
    assert problem(document).detail == "missing: pet"


def test_a_form_of_version_2_is_urlencoded() -> None:
    fields = [parameter("name", "formData", required=True), parameter("tags", "formData")]

    found = message(old({"parameters": fields}), name="R x", tags=["a", "b"])

    assert found.headers["content-type"] == "application/x-www-form-urlencoded"
    assert found.content == b"name=R%20x&tags=a%2Cb"
    assert found.url.query == b""


def test_servers_are_relative_to_the_document_and_the_nearest_counts() -> None:
    variables = {"region": {"default": "eu"}}
    servers = [{"url": "https://{region}.example.com/v1/", "variables": variables}]

    assert str(message(new({}, path="/a", servers=servers)).url) == "https://eu.example.com/v1/a"
    own = new({"servers": [{"url": "../v3"}]}, path="/a", servers=servers)
    assert str(message(own).url) == "https://api.example.com/v3/a"


def test_parameters_of_the_path_count_and_those_of_the_operation_replace_them() -> None:
    document = new({"parameters": [parameter("q", "query", explode=False)]}, path="/pets")
    document["paths"]["/pets"]["parameters"] = [
        parameter("q", "query"),
        {"$ref": "#/components/parameters/page"},
    ]
    document["components"] = {"parameters": {"page": parameter("page", "query", required=True)}}

    assert message(document, q=["a", "b"], page=2).url.query == b"q=a,b&page=2"
    assert problem(document).detail == "missing: page"


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"openapi": "4.0.0", "paths": {}},
        {"openapi": "3.0.0"},
        new({"parameters": [{"$ref": "https://evil.example.com/p.json"}]}),
        new({"parameters": [{"$ref": "#/components/none"}]}),
        new({"parameters": [{"$ref": "#/loop"}]}, loop={"$ref": "#/loop"}),
        new({"parameters": [parameter("q", "query", style="matrix")]}),
        new({"parameters": [parameter("q", "query", content={"text/plain": {}})]}),
        new({"requestBody": {"content": {"multipart/form-data": {}}}}),
        new({"requestBody": {"content": {}}}),
        new({}, path="/pets/{id}"),
        new({"servers": [{"nothing": 1}]}, path="/a"),
        old({"parameters": [parameter("f", "formData", type="file")]}),
        old({}, schemes=["ws"]),
        {
            "openapi": "3.0.0",
            "paths": {
                "/a": {"get": {"operationId": "act"}},
                "/b": {"get": {"operationId": "act"}},
            },
        },
    ],
)
def test_a_document_that_we_cannot_follow_is_an_error_of_the_configuration(document: Any) -> None:
    assert problem(document).is_a(Standard.CONFIGURATION)


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
SCALAR = TEXT | st.integers(-(2**53), 2**53) | st.booleans()


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@PATIENT
@given(name=TEXT.filter(bool), values=st.lists(SCALAR, min_size=1, max_size=4))
def test_an_exploded_query_is_read_back_as_it_was_given(name: str, values: list[Any]) -> None:
    document = new({"parameters": [parameter(name, "query")]}, path="/pets", method="get")

    query = message(document, **{name: values}).url.query.decode("ascii")

    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    assert pairs == [(name, _written(value)) for value in values]


@PATIENT
@given(values=st.lists(TEXT, min_size=1, max_size=4))
def test_a_joined_query_keeps_its_values_apart(values: list[str]) -> None:
    document = new(
        {"parameters": [parameter("q", "query", explode=False)]}, path="/pets", method="get"
    )

    query = message(document, q=values).url.query.decode("ascii")

    assert [unquote(part) for part in query.removeprefix("q=").split(",")] == values


@PATIENT
@given(value=SCALAR)
def test_a_path_parameter_is_one_segment(value: Any) -> None:
    document = new({"parameters": [parameter("id", "path")]}, path="/pets/{id}/owner", method="get")
    text = _written(value)
    if text in ("", ".", ".."):
        return

    path = message(document, id=value).url.raw_path.decode("ascii")

    before, _, after = path.rpartition("/owner")
    assert after == ""
    assert before.count("/") == 2
    assert unquote(before.removeprefix("/pets/")) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
PIECES = st.fixed_dictionaries(
    {},
    optional={
        "openapi": st.sampled_from(["3.0.0", "3.1.0"]) | JSON,
        "swagger": st.just("2.0") | JSON,
        "servers": JSON | st.lists(st.dictionaries(st.just("url"), JSON), max_size=2),
        "paths": JSON
        | st.dictionaries(
            st.sampled_from(["/a", "/a/{id}"]),
            st.dictionaries(
                st.sampled_from(["get", "post", "parameters"]),
                st.fixed_dictionaries(
                    {"operationId": st.just("act")},
                    optional={
                        "parameters": JSON
                        | st.lists(
                            st.dictionaries(
                                st.sampled_from(
                                    ["name", "in", "style", "explode", "content", "$ref"]
                                ),
                                st.sampled_from(["q", "query", "path", "form", "#/paths"]) | JSON,
                            ),
                            max_size=2,
                        ),
                        "requestBody": JSON | st.dictionaries(st.just("content"), JSON, max_size=1),
                        "servers": JSON,
                        "schemes": JSON,
                        "consumes": JSON,
                    },
                ),
            ),
            max_size=2,
        ),
        "host": JSON,
        "basePath": JSON,
        "schemes": JSON,
    },
)


@PATIENT
@given(document=PIECES, arguments=st.dictionaries(TEXT, JSON, max_size=3))
def test_any_document_is_followed_or_is_a_clear_error(
    document: dict[str, Any], arguments: dict[str, Any]
) -> None:
    try:
        message(document, **arguments)
    except WorkflowError as exc:
        assert exc.is_a(Standard.CONFIGURATION) or exc.is_a(Standard.VALIDATION)


class Pets(Service):
    """Publishes a document, in YAML as people write it, and serves what it says."""

    document = """\
openapi: 3.0.3
info: {title: Pets, version: 1.0.0}
paths:
  /pets/{id}:
    put:
      operationId: renamePet
      parameters:
        - {name: id, in: path, required: true}
      requestBody:
        required: true
        content: {application/json: {}}
      responses:
        200: {description: fine}
"""

    def __init__(self) -> None:
        super().__init__()
        self.answer = self._pets
        self.etag = '"1"'

    async def _pets(self, request: Request) -> Response:
        if request.url.path != "/openapi.yaml":
            body = json.loads(self.bodies[-1])
            return JSONResponse({"path": request.url.path, "body": body})
        if request.headers.get("if-none-match") == self.etag:
            return Response(status_code=304)
        return Response(self.document, headers={"etag": self.etag}, media_type="text/yaml")


async def test_an_operation_of_a_published_document_is_called(run: Bench) -> None:
    pets = Pets()
    async with Background(pets.app()) as served:
        url = f"{served.url}/openapi.yaml"
        answer = await run.perform(
            openapi_request(url, "renamePet", parameters={"id": 7, "name": "Rex"})
        )

    assert answer == {"path": "/pets/7", "body": {"name": "Rex"}}
    intended = await run.entry("intended")
    assert intended is not None
    assert intended["operationId"] == "renamePet"
    assert intended["idempotent"] is True
    assert pets.asked[1].headers["idempotency-key"]


async def test_a_large_document_is_read_as_a_small_one_is(run: Bench) -> None:
    pets = Pets()
    pets.document = f"{Pets.document}x-more: {'a' * 100_000}\n"
    async with Background(pets.app()) as served:
        answer = await run.perform(
            openapi_request(
                f"{served.url}/openapi.yaml", "renamePet", parameters={"id": 7, "name": "Rex"}
            )
        )

    assert answer["path"] == "/pets/7"


async def test_a_document_is_asked_for_again_only_when_it_may_have_changed(run: Bench) -> None:
    pets = Pets()
    async with Background(pets.app()) as served:
        for _ in range(3):
            await run.failure(openapi_request(f"{served.url}/openapi.yaml", "none"))
            await run.database.write(_forget)
        assert len(pets.asked) == 1
        run.clock.forward(timedelta(minutes=2))
        error = await run.failure(openapi_request(f"{served.url}/openapi.yaml", "none"))

    assert len(pets.asked) == 2
    assert pets.asked[1].headers["if-none-match"] == '"1"'
    assert error.is_a(Standard.CONFIGURATION)


def _forget(connection: Any) -> None:
    connection.exec_driver_sql("DELETE FROM journal")


@pytest.mark.parametrize(
    ("content", "status"),
    [("a: [", 400), ("{", 400), ("a: &a [*a]", 400), ("!!python/object:os.system {}", 400)],
)
async def test_what_is_no_document_is_an_error_before_anything_else_is_sent(
    run: Bench, content: str, status: int
) -> None:
    pets = Pets()
    pets.document = content
    async with Background(pets.app()) as served:
        error = await run.failure(openapi_request(f"{served.url}/openapi.yaml", "renamePet"))

    assert error.status == status
    assert len(pets.asked) == 1
    assert await run.kinds() == ["failed"]


async def test_a_document_that_is_not_there_is_an_error_of_communication(run: Bench) -> None:
    service = Service()

    async def missing(_: Request) -> Response:
        return Response(status_code=404)

    service.answer = missing
    async with Background(service.app()) as served:
        error = await run.failure(openapi_request(f"{served.url}/openapi.yaml", "renamePet"))

    assert (error.is_a(Standard.COMMUNICATION), error.status) == (True, 404)


def test_the_document_of_the_tests_is_one() -> None:
    assert yaml.safe_load(Pets.document)["openapi"] == "3.0.3"
