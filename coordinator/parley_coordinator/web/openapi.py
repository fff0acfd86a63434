"""The OpenAPI 3.1 document, made from the table of operations and the models that they use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from parley_coordinator.web.resources import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic.json_schema import JsonSchemaMode

    from parley_coordinator.web.operations import Operation

_REF: Final = "#/components/schemas/{model}"
_PROBLEM: Final = "application/problem+json"
_TITLES: Final = {
    200: "OK",
    201: "Created",
    202: "Taken in",
    204: "Nothing more to come",
    400: "The request is malformed",
    401: "No valid token",
    403: "Not permitted",
    404: "There is no such thing, or you may not see it",
    409: "Somebody or something was faster",
    413: "The body is too large",
    503: "Try again later",
    504: "The time was over before it began",
}


def openapi(operations: Sequence[Operation], *, url: str, version: str) -> dict[str, Any]:
    """Describe `operations`, served at `url`."""
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Problem, "serialization")]
    for operation in operations:
        if operation.body is not None:
            models.append((operation.body, "validation"))
        models.extend(
            (answer, "serialization")
            for answer in operation.answers.values()
            if isinstance(answer, type)
        )
    names, definitions = models_json_schema(
        list(dict.fromkeys(models)), by_alias=True, ref_template=_REF
    )
    refs = {model.__name__: str(schema["$ref"]) for (model, _), schema in names.items()}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Parley coordinator",
            "version": version,
            "description": "Runs workflows over A2A agents, asks people, and can say why.",
        },
        "servers": [{"url": url}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(operation: Operation, refs: dict[str, str]) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": operation.id, "summary": operation.summary}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    parameters += [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
        for name in operation.headers
    ]
    if operation.query is not None:
        schema = operation.query.model_json_schema(by_alias=True)
        parameters += [
            {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "schema": each,
            }
            for name, each in schema["properties"].items()
        ]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": refs[operation.body.__name__]}}},
        }
    if operation.text:
        described["requestBody"] = {
            "required": True,
            "content": {each: {"schema": {"type": "string"}} for each in operation.text},
        }
    described["responses"] = {
        str(status): _response(status, answer, refs) for status, answer in operation.answers.items()
    } | {
        str(status): {
            "description": _TITLES[status],
            "content": {_PROBLEM: {"schema": {"$ref": refs[Problem.__name__]}}},
        }
        for status in sorted({401, 403, *operation.problems})
    }
    return described


def _response(
    status: int, answer: type[BaseModel] | str | None, refs: dict[str, str]
) -> dict[str, Any]:
    response: dict[str, Any] = {"description": _TITLES[status]}
    if isinstance(answer, str):
        response["content"] = {answer: {"schema": {"type": "string"}}}
    elif answer is not None:
        response["content"] = {"application/json": {"schema": {"$ref": refs[answer.__name__]}}}
    return response
