"""Calls over a protocol: where they go, how they authenticate, what the method needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from parley_coordinator.workflow.calls import (
    AuthenticationPolicy,
    EndpointSpec,
    authentication_of,
    uri_of,
)
from parley_coordinator.workflow.checks.report import BODY, Report
from parley_coordinator.workflow.checks.sites import Site
from parley_coordinator.workflow.expressions import is_expression
from parley_coordinator.workflow.findings import escape
from parley_coordinator.workflow.tasks import (
    PROTOCOL_TASKS,
    A2aTask,
    HttpTask,
    McpTask,
    OpenApiTask,
    ProtocolTask,
)

_TEMPLATE: Final = re.compile(r"\{([^{}]*)\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_CREDENTIALS: Final = ("authorization", "cookie", "proxy-authorization")
_PARTS: Final = ("text", "data", "raw", "url", "file")
"""The members of a part that hold its content, in A2A 1.0 and 0.3."""
_A2A_NEEDS: Final = {
    "message/send": "message",
    "message/stream": "message",
    "tasks/get": "id",
    "tasks/cancel": "id",
    "tasks/resubscribe": "id",
}
_MCP_NEEDS: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


def document_authentications(report: Report) -> None:
    for name, policy in report.document.use.authentications.items():
        path = f"/use/authentications/{escape(name)}"
        if policy.use is not None:
            message = "a named authentication does not refer to another one"
            report.add(f"{path}/use", "unknown-name", message, "write its scheme here")
        _policy(report, path, policy)


def protocol(report: Report, site: Site) -> None:
    task = site.task
    if not isinstance(task, PROTOCOL_TASKS):
        return
    path = f"{site.path}/with"
    places = dict(_endpoints(task))
    private = {f"{path}{where}/authentication" for where in places}
    private.add(f"{path}/authentication")
    given = task.with_.model_dump(mode="json", by_alias=True, exclude_unset=True)
    report.template(path, given, BODY | site.variables, private=private)
    for where, endpoint in places.items():
        _uri(report, path + where, endpoint)
        _authentication(report, f"{path}{where}/authentication", authentication_of(endpoint))
    match task:
        case HttpTask():
            _headers(report, f"{path}/headers", task.with_.headers)
        case OpenApiTask():
            _authentication(report, f"{path}/authentication", task.with_.authentication)
        case A2aTask():
            _a2a(report, path, task)
        case McpTask():
            _headers(report, f"{path}/transport/http/headers", task.with_.transport.http.headers)
            needed = _MCP_NEEDS.get(task.with_.method)
            _needs(report, path, task.with_.method, task.with_.parameters, needed)


def _endpoints(task: ProtocolTask) -> Iterator[tuple[str, str | EndpointSpec]]:
    """Yield where below `with` each endpoint stands, and the endpoint."""
    match task:
        case HttpTask():
            yield "/endpoint", task.with_.endpoint
        case OpenApiTask():
            yield "/document/endpoint", task.with_.document.endpoint
        case A2aTask():
            if task.with_.agent_card is not None:
                yield "/agentCard/endpoint", task.with_.agent_card.endpoint
            if task.with_.server is not None:
                yield "/server", task.with_.server
        case McpTask():
            yield "/transport/http/endpoint", task.with_.transport.http.endpoint


def templates(path: str, task: ProtocolTask) -> Iterator[tuple[str, list[str]]]:
    """Yield the path of each URI template of a task, and the variables in it."""
    for where, endpoint in _endpoints(task):
        uri = uri_of(endpoint)
        if not is_expression(uri):
            yield _uri_path(f"{path}/with{where}", endpoint), _TEMPLATE.findall(uri)


def _uri_path(path: str, endpoint: str | EndpointSpec) -> str:
    return path if isinstance(endpoint, str) else f"{path}/uri"


def _uri(report: Report, path: str, endpoint: str | EndpointSpec) -> None:
    uri, path = uri_of(endpoint), _uri_path(path, endpoint)
    if is_expression(uri):
        return
    for name in _TEMPLATE.findall(uri):
        if not _NAME.fullmatch(name):
            message = f"{name[:40]!r} is no name of a variable"
            report.add(path, "endpoint", message, "write {name}, a member of the task's input")
    problem, fix = _uri_problem(_TEMPLATE.sub("x", uri))
    if problem:
        report.add(path, "endpoint", problem, fix)


def _uri_problem(uri: str) -> tuple[str, str]:
    try:
        parts = urlsplit(uri)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "the endpoint is no URI", "write https://HOST/PATH"
    if parts.scheme not in ("http", "https") or not host:
        return "an endpoint is an absolute http or https URI", "write https://HOST/PATH"
    if parts.username is not None or parts.password is not None:
        return "the endpoint holds credentials", "put them into a secret, and use `authentication`"
    return "", ""


def _authentication(report: Report, path: str, policy: AuthenticationPolicy | None) -> None:
    if policy is None:
        return
    if policy.use is not None and policy.use not in report.document.use.authentications:
        message = f"`use.authentications` has no {policy.use[:60]!r}"
        report.add(f"{path}/use", "unknown-name", message, "define it, or write the scheme here")
    _policy(report, path, policy)


def _policy(report: Report, path: str, policy: AuthenticationPolicy) -> None:
    """Secrets are declared, and credentials are no part of the document."""
    schemes = {"basic": policy.basic, "bearer": policy.bearer, "oauth2": policy.oauth2}
    for name, scheme in schemes.items():
        if scheme is not None and scheme.use is not None:
            report.secret(f"{path}/{name}/use", scheme.use)
    texts: dict[str, str | None] = {}
    if policy.basic is not None:
        texts["basic/password"] = policy.basic.password
    if policy.bearer is not None:
        texts["bearer/token"] = policy.bearer.token
    if policy.oauth2 is not None:
        texts["oauth2/client/secret"] = policy.oauth2.client.secret
    for where, text in texts.items():
        if text is not None and not is_expression(text):
            _written(report, f"{path}/{where}")


def _headers(report: Report, path: str, headers: Any) -> None:
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if name.lower() in _CREDENTIALS and isinstance(value, str) and not is_expression(value):
            _written(report, f"{path}/{escape(name)}")


def _written(report: Report, path: str) -> None:
    message = "a credential stands in the document, which everybody may read"
    report.add(path, "secret", message, "declare it in `use.secrets`, and refer to it")


def _a2a(report: Report, path: str, task: A2aTask) -> None:
    spec = task.with_
    if spec.agent_card is None and spec.server is None:
        message = "it is not said which agent is called"
        report.add(path, "endpoint", message, "add agentCard: {endpoint: ...}, or server")
    _needs(report, path, spec.method, spec.parameters, _A2A_NEEDS.get(spec.method))
    message_ = spec.parameters.get("message") if isinstance(spec.parameters, dict) else None
    if spec.method not in ("message/send", "message/stream") or message_ is None:
        return
    here = f"{path}/parameters/message"
    if isinstance(message_, str) and is_expression(message_):
        return
    parts = message_.get("parts") if isinstance(message_, dict) else None
    if isinstance(parts, str) and is_expression(parts):
        return
    if not isinstance(parts, list) or not parts:
        message = "a message has at least one part"
        report.add(here, "argument-type", message, "add parts: [{text: ...}]")
        return
    for index, part in enumerate(parts):
        computed = isinstance(part, str) and is_expression(part)
        if not computed and not (isinstance(part, dict) and part.keys() & set(_PARTS)):
            message = "a part of a message has content"
            fix = f"give it one of: {', '.join(_PARTS)}"
            report.add(f"{here}/parts/{index}", "argument-type", message, fix)


def _needs(report: Report, path: str, method: str, parameters: Any, name: str | None) -> None:
    if name is not None and isinstance(parameters, dict) and name not in parameters:
        message = f"{method} needs {name!r}"
        where = f"{path}/parameters" if parameters else f"{path}/method"
        report.add(where, "missing-argument", message, f"add parameters: {{{name}: ...}}")
