"""An OpenAPI document, 2.0 or 3.x: the one operation that is asked for, and where it is served.

What is read is what is needed to call it. References reach inside the document only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from parley_wire.limits import is_json

from parley_coordinator.protocols.content import FORM
from parley_coordinator.protocols.openapi_parameters import (
    FORMATS,
    STYLES,
    Parameter,
    Where,
    style_of,
)
from parley_coordinator.protocols.openapi_servers import MAX_ADDRESS, new_base, old_base
from parley_coordinator.protocols.outcome import misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_MAX_REFERENCES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What an operation takes as its body."""

    required: bool
    kind: Literal["json", "form", "text"]
    media_type: str
    name: str = "body"
    """Of the argument that is the whole body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenApiOperation:
    """One operation, ready to be called."""

    method: str
    """Upper case."""
    base: httpx.URL
    path: str
    """A template, to be added to `base`."""
    parameters: tuple[Parameter, ...]
    """No two have the same name and place."""
    fields: tuple[Parameter, ...]
    """Of a form, in 2.0."""
    body: Body | None


def operation_of(document: Any, operation_id: str, fetched_from: httpx.URL) -> OpenApiOperation:
    """Find an operation.

    Args:
        fetched_from: Servers are relative to it.

    Raises:
        WorkflowError: `configuration`: this is no OpenAPI document, or has no such operation, or two,
            or describes it in a way that we do not speak.
    """
    if not isinstance(document, dict):
        raise misconfigured("the OpenAPI document is no object")
    reader = _Reader(document)
    found = [
        (path, item, method)
        for path, item in reader.paths()
        for method in METHODS
        if isinstance(item.get(method), dict) and item[method].get("operationId") == operation_id
    ]
    if len(found) != 1:
        count = "no operation" if not found else f"{len(found)} operations"
        raise misconfigured(f"the OpenAPI document has {count} {operation_id[:120]!r}")
    path, item, method = found[0]
    if len(path) > MAX_ADDRESS:
        raise misconfigured(f"the path of the operation has more than {MAX_ADDRESS} characters")
    operation = item[method]
    declared = reader.declared(item, operation)
    if reader.old:
        fields, body = _old_body(reader, operation, declared)
        base = old_base(document, operation, fetched_from)
    else:
        fields, body = (), _new_body(reader, operation)
        base = new_base(document, item, operation, fetched_from)
    return OpenApiOperation(
        method=method.upper(),
        base=base,
        path=path,
        parameters=tuple(
            _parameter(each, each["in"], old=reader.old)
            for each in declared
            if each["in"] in STYLES
        ),
        fields=fields,
        body=body,
    )


class _Reader:
    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.old = str(document.get("swagger", "")).startswith("2.")
        if not self.old and not str(document.get("openapi", "")).startswith("3."):
            raise misconfigured("the document is not OpenAPI 2.0 or 3.x")

    def paths(self) -> Iterator[tuple[str, dict[str, Any]]]:
        paths = self._document.get("paths")
        for path, item in (paths if isinstance(paths, dict) else {}).items():
            if path.startswith("/"):
                yield path, self.resolved(item)

    def resolved(self, value: Any) -> dict[str, Any]:
        """Follow `$ref` until there is none; only to places in this document."""
        for _ in range(_MAX_REFERENCES):
            if not isinstance(value, dict):
                raise misconfigured(
                    "the OpenAPI document has something else where an object belongs"
                )
            reference = value.get("$ref")
            if not isinstance(reference, str):
                return value
            value = self._at(reference)
        raise misconfigured("the OpenAPI document has references that lead nowhere")

    def declared(self, item: dict[str, Any], operation: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the parameters of an operation; its own replace those of its path."""
        merged: dict[tuple[str, str], dict[str, Any]] = {}
        for owner in (item, operation):
            listed = owner.get("parameters") or []
            for each in listed if isinstance(listed, list) else []:
                parameter = self.resolved(each)
                name, where = parameter.get("name"), parameter.get("in")
                if not isinstance(name, str) or not isinstance(where, str) or not name:
                    raise misconfigured("a parameter has no name, or no place")
                merged[name, where] = parameter
        return list(merged.values())

    def list_of(self, operation: dict[str, Any], name: str) -> list[str]:
        """Return `consumes` and the like: of the operation, else of the document."""
        given = operation.get(name, self._document.get(name))
        return [each for each in given if isinstance(each, str)] if isinstance(given, list) else []

    def _at(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            raise misconfigured(
                f"the OpenAPI document refers to {reference[:120]!r}; only references inside it work"
            )
        node: Any = self._document
        for step in reference[2:].split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            node = node.get(key) if isinstance(node, dict) else None
            if node is None:
                raise misconfigured(f"the OpenAPI document has nothing at {reference[:120]!r}")
        return node


def _parameter(declared: dict[str, Any], where: Where, *, old: bool) -> Parameter:
    name = declared["name"]
    required = declared.get("required") is True or where == "path"
    if old:
        delimiter = FORMATS.get(str(declared.get("collectionFormat", "csv")))
        if delimiter is None or (delimiter == "&" and where not in ("query", "cookie")):
            raise misconfigured(
                f"the parameter {name[:80]!r} has a collectionFormat we do not write"
            )
        style = STYLES[where][0]
        return Parameter(
            name=name,
            where=where,
            required=required,
            style=style,
            explode=False,
            delimiter=delimiter,
        )
    if isinstance(declared.get("content"), dict):
        (media_type,) = list(declared["content"])[:1] or [""]
        if not is_json(media_type):
            raise misconfigured(f"the parameter {name[:80]!r} is {media_type[:80]!r}, not JSON")
        return Parameter(
            name=name,
            where=where,
            required=required,
            style=STYLES[where][0],
            explode=False,
            as_json=True,
        )
    style, explode, delimiter = style_of(declared, where)
    return Parameter(
        name=name,
        where=where,
        required=required,
        style=style,
        explode=explode,
        delimiter=delimiter,
    )


def _old_body(
    reader: _Reader, operation: dict[str, Any], declared: list[dict[str, Any]]
) -> tuple[tuple[Parameter, ...], Body | None]:
    forms = [each for each in declared if each["in"] == "formData"]
    if forms:
        consumes = reader.list_of(operation, "consumes")
        if any(each.get("type") == "file" for each in forms) or (consumes and FORM not in consumes):
            raise misconfigured("the operation takes a multipart form, which we do not send")
        fields = tuple(_parameter(each, "query", old=True) for each in forms)
        return fields, Body(required=False, kind="form", media_type=FORM, name="")
    whole = next((each for each in declared if each["in"] == "body"), None)
    if whole is None:
        return (), None
    consumes = reader.list_of(operation, "consumes") or ["application/json"]
    required = whole.get("required") is True
    return (), _body(dict.fromkeys(consumes), required=required, name=whole["name"])


def _new_body(reader: _Reader, operation: dict[str, Any]) -> Body | None:
    if operation.get("requestBody") is None:
        return None
    declared = reader.resolved(operation["requestBody"])
    content = declared.get("content")
    if not isinstance(content, dict) or not content:
        raise misconfigured("the request body of the operation has no content")
    return _body(content, required=declared.get("required") is True, name="body")


def _body(content: dict[str, Any], *, required: bool, name: str) -> Body:
    """Choose the media type: JSON before a form before text."""
    offered = [each for each in content if isinstance(each, str)]
    for media_type in offered:
        kind = media_type.partition(";")[0].strip().lower()
        if is_json(kind) or kind in ("*/*", "application/*"):
            sent = media_type if is_json(kind) else "application/json"
            return Body(required=required, kind="json", media_type=sent, name=name)
    if FORM in offered:
        return Body(required=required, kind="form", media_type=FORM, name=name)
    for media_type in offered:
        if media_type.startswith("text/"):
            return Body(required=required, kind="text", media_type=media_type, name=name)
    raise misconfigured(
        f"the operation takes {', '.join(offered)[:120]}; we send JSON, forms, text"
    )
