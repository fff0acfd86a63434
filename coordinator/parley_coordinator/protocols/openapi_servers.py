"""Where an operation of an OpenAPI document is served; whoever wrote the document is not trusted."""

from __future__ import annotations

import re
from typing import Any, Final

import httpx

from parley_coordinator.protocols.outcome import misconfigured

MAX_ADDRESS: Final = 2_048
"""Characters of a path or a server, variables filled in or not."""
_VARIABLE: Final = re.compile(r"\{([^{}]*)\}")


def old_base(
    document: dict[str, Any], operation: dict[str, Any], fetched_from: httpx.URL
) -> httpx.URL:
    schemes = operation.get("schemes") or document.get("schemes") or [fetched_from.scheme]
    if not isinstance(schemes, list):
        raise misconfigured("the schemes of the OpenAPI document are no array")
    usable = [each for each in ("https", "http") if each in schemes]
    if not usable:
        raise misconfigured("the operation is served neither over https nor over http")
    # The default is where the document came from; `https` is taken where both are offered.
    host = document.get("host") or fetched_from.netloc.decode("ascii")
    base = document.get("basePath") or ""
    if not isinstance(host, str) or not isinstance(base, str):
        raise misconfigured("the host or the basePath of the OpenAPI document is no text")
    return _joined(fetched_from, f"{usable[0]}://{host}{base}")


def new_base(
    document: dict[str, Any],
    item: dict[str, Any],
    operation: dict[str, Any],
    fetched_from: httpx.URL,
) -> httpx.URL:
    for owner in (operation, item, document):
        servers = owner.get("servers")
        if isinstance(servers, list) and servers and isinstance(servers[0], dict):
            return _joined(fetched_from, _server(servers[0]))
    return _joined(fetched_from, "/")


def _server(server: dict[str, Any]) -> str:
    """Fill in the variables of a server, once: what they bring is not looked at again."""
    url = server.get("url")
    if not isinstance(url, str):
        raise misconfigured("the server of the operation has no url")
    declared = server.get("variables")
    variables = declared if isinstance(declared, dict) else {}

    def default(found: re.Match[str]) -> str:
        variable = variables.get(found[1])
        value = variable.get("default") if isinstance(variable, dict) else None
        return _short(value) if isinstance(value, str) else found[0]

    return _VARIABLE.sub(default, _short(url))


def _short(text: str) -> str:
    if len(text) > MAX_ADDRESS:
        raise misconfigured(f"the server of the operation has more than {MAX_ADDRESS} characters")
    return text


def _joined(fetched_from: httpx.URL, url: str) -> httpx.URL:
    _short(url)
    try:
        base = fetched_from.join(url)
    except (httpx.InvalidURL, ValueError) as exc:
        raise misconfigured(f"the server {url[:120]!r} is no address: {exc}") from exc
    return base.copy_with(query=None, fragment=None)
