"""OpenAPI documents of somebody who means harm: small ones that grow, and members that are something else."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from parley_coordinator.protocols.http import Message
from parley_coordinator.protocols.openapi import filled
from parley_coordinator.protocols.openapi_document import operation_of
from parley_coordinator.workflow.errors import Standard, WorkflowError

from tests.coordinator.protocols.bench import PATIENT

FROM = httpx.URL("https://api.example.com/docs/openapi.json")


def message(document: Any, arguments: dict[str, Any]) -> Message:
    return filled(operation_of(document, "act", FROM), arguments)


def problem(document: Any, arguments: dict[str, Any] | None = None) -> WorkflowError:
    with pytest.raises(WorkflowError) as caught:
        message(document, arguments or {})
    assert caught.value.is_a(Standard.CONFIGURATION)
    return caught.value


def new(path: str = "/a", **more: Any) -> dict[str, Any]:
    operation = {"operationId": "act", **more.pop("operation", {})}
    return {"openapi": "3.1.0", "paths": {path: {"post": operation}}, **more}


def old(**more: Any) -> dict[str, Any]:
    return {**new(**more), "openapi": None, "swagger": "2.0"}


def served(url: str, **variables: str) -> dict[str, Any]:
    declared = {name: {"default": value} for name, value in variables.items()}
    return new(servers=[{"url": url, "variables": declared}])


def test_the_variables_of_a_server_are_filled_in_once() -> None:
    document = served("/{a}/{b}", a="{b}", b="{a}{a}")

    path = message(document, {}).url.raw_path.decode()

    assert path == "/%7Bb%7D/%7Ba%7D%7Ba%7D/a"


def test_variables_that_double_each_other_stay_small() -> None:
    variables = {f"v{n}": f"{{v{n + 1}}}{{v{n + 1}}}" for n in range(64)}

    assert len(str(message(served("/{v0}", **variables), {}).url)) < 100


@pytest.mark.parametrize(
    "document",
    [
        served("/" + "a" * 3_000),
        served("/{a}", a="a" * 3_000),
        served("/" + "{a}" * 500, a="a" * 100),
        old(basePath="/" + "a" * 3_000),
        new("/" + "{a}" * 1_000_000),
    ],
)
def test_an_address_without_measure_is_refused(document: dict[str, Any]) -> None:
    assert "2048 characters" in (problem(document).detail or "")


@pytest.mark.parametrize(
    "document",
    [
        old(schemes=1),
        old(schemes="https"),
        old(host=["api.example.com"]),
        old(basePath={"a": 1}),
        old(
            operation={"parameters": [{"name": "q", "in": "query", "collectionFormat": ["x"]}]},
        ),
    ],
)
def test_a_member_of_another_type_is_an_error_of_the_configuration(
    document: dict[str, Any],
) -> None:
    problem(document)


@pytest.mark.parametrize(
    "media_type", ["application/json;\r\nx-a: 1", "application/json;é", "text/plain;\0"]
)
def test_a_media_type_that_is_no_header_is_not_sent(media_type: str) -> None:
    document = new(operation={"requestBody": {"content": {media_type: {}}}})

    error = problem(document, {"body": "x"})

    assert "content-type" in (error.detail or "")


NEW: dict[str, Any] = {
    "openapi": "3.1.0",
    "servers": [{"url": "/{v}", "variables": {"v": {"default": "1"}}}],
    "paths": {
        "/pets/{id}": {
            "parameters": [{"$ref": "#/components/parameters/id"}],
            "post": {
                "operationId": "act",
                "servers": [
                    {"url": "https://{v}.example.com", "variables": {"v": {"default": "a"}}}
                ],
                "parameters": [
                    {"name": "q", "in": "query", "style": "pipeDelimited", "explode": False},
                    {"name": "d", "in": "query", "style": "deepObject"},
                    {"name": "h", "in": "header", "required": False},
                    {"name": "c", "in": "cookie", "content": {"application/json": {}}},
                ],
                "requestBody": {"required": True, "content": {"application/json": {}}},
            },
        }
    },
    "components": {"parameters": {"id": {"name": "id", "in": "path", "required": True}}},
}
OLD: dict[str, Any] = {
    "swagger": "2.0",
    "host": "api.example.com",
    "basePath": "/v1",
    "schemes": ["https"],
    "consumes": ["application/json"],
    "paths": {
        "/pets/{id}": {
            "post": {
                "operationId": "act",
                "consumes": ["application/x-www-form-urlencoded"],
                "schemes": ["http"],
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "collectionFormat": "pipes"},
                    {"name": "q", "in": "query", "collectionFormat": "multi"},
                    {"name": "h", "in": "header"},
                    {"name": "d", "in": "formData", "type": "string"},
                ],
            }
        }
    },
}
ARGUMENTS: dict[str, Any] = {"id": "7", "q": ["a", "b"], "d": {"a": 1}, "h": "x", "c": {"a": [1]}}
TEXT = st.text(alphabet=st.characters(), max_size=8) | st.sampled_from(
    [
        *("#/paths", "#/components/parameters/id", "#/", "path", "query", "header", "cookie"),
        *("body", "formData", "form", "simple", "csv", "text/plain\r\nx: 1", "é", "{v}", "//", "{"),
        *("/\ud800", "/{a", "/{q}{h}", "/é", "?", "#"),
        *("http://[", "mailto:a", "http://h:99999/", "http://ada:pw@h/", "\ud800", "\0", "*/*", ""),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def _members(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container in a JSON value, with each key or index of it."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in list(pairs):
        yield value, key
        if isinstance(member, dict | list):
            yield from _members(member)


@st.composite
def mutated(draw: st.DrawFn, original: dict[str, Any]) -> dict[str, Any]:
    """Draw a document of which a few members were replaced, renamed or left out."""
    document = copy.deepcopy(original)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_members(document))
        if not places:
            break
        container, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "replace", "rename", "leave out"])):
            case "rename" if isinstance(container, dict):
                container[draw(TEXT)] = container.pop(key)
            case "leave out":
                del container[key]
            case _:
                container[key] = draw(VALUES)
    return document


@PATIENT
@example(document=new("/\ud800"), arguments={})
@given(
    document=mutated(NEW) | mutated(OLD),
    arguments=st.just(ARGUMENTS) | st.dictionaries(st.sampled_from([*ARGUMENTS, "body"]), VALUES),
)
def test_a_document_that_was_tampered_with_is_followed_or_is_a_clear_error(
    document: dict[str, Any], arguments: dict[str, Any]
) -> None:
    try:
        found = message(document, arguments)
    except WorkflowError as exc:
        assert exc.is_a(Standard.CONFIGURATION) or exc.is_a(Standard.VALIDATION)
        return
    for value in found.headers.values():
        assert value.isascii()
        assert value.isprintable() or "\t" in value
