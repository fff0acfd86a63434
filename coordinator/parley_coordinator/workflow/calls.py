"""What a protocol call takes under `with`, and how it authenticates.

Values may be expressions wherever the type says text or `Any`; they are evaluated before the call.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag

from parley_coordinator.workflow.expressions import is_expression
from parley_coordinator.workflow.fields import Duration, Strict, by_type, problem

Text: TypeAlias = Annotated[str, StringConstraints(min_length=1)]
Output: TypeAlias = Literal["content", "response", "raw"]

A2A_METHODS: Final = {
    "message/send": "SendMessage",
    "message/stream": "SendStreamingMessage",
    "tasks/get": "GetTask",
    "tasks/list": "ListTasks",
    "tasks/cancel": "CancelTask",
    "tasks/resubscribe": "SubscribeToTask",
    "tasks/pushNotificationConfig/set": "CreateTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/get": "GetTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/list": "ListTaskPushNotificationConfigs",
    "tasks/pushNotificationConfig/delete": "DeleteTaskPushNotificationConfig",
    "agent/getAuthenticatedExtendedCard": "GetExtendedAgentCard",
}
"""The language's names, which are those of A2A 0.3, and the operations of A2A 1.0 that they mean."""
MCP_METHODS: Final = (
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/read",
    "resources/templates/list",
)
_GRANT: Final = "client_credentials"


class BasicAuthentication(Strict):
    username: Text | None = None
    password: Text | None = None
    use: Text | None = None
    """A secret `{username, password}`."""


class BearerAuthentication(Strict):
    token: Text | None = None
    use: Text | None = None
    """A secret that is the token, or `{token}`."""


class OAuth2Client(Strict):
    id: Text | None = None
    secret: Text | None = None
    authentication: Literal["client_secret_basic", "client_secret_post", "none"] = (
        "client_secret_post"
    )


class OAuth2Endpoints(Strict):
    token: Text = "/oauth2/token"  # noqa: S105 - a path
    revocation: Text = "/oauth2/revoke"
    introspection: Text = "/oauth2/introspect"


class OAuth2Request(Strict):
    encoding: Literal["application/x-www-form-urlencoded", "application/json"] = (
        "application/x-www-form-urlencoded"
    )


class OAuth2Authentication(Strict):
    """Client credentials (RFC 6749 section 4.4)."""

    use: Text | None = None
    """A secret with the other members."""
    authority: Text | None = None
    endpoints: OAuth2Endpoints = OAuth2Endpoints()
    grant: Literal["client_credentials"] = _GRANT
    client: OAuth2Client = OAuth2Client()
    request: OAuth2Request = OAuth2Request()
    issuers: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()


class AuthenticationPolicy(Strict):
    """One way to authenticate, or the name of one in `use.authentications`."""

    use: Text | None = None
    basic: BasicAuthentication | None = None
    bearer: BearerAuthentication | None = None
    oauth2: OAuth2Authentication | None = None


_SCHEMES: Final = ("use", "basic", "bearer", "oauth2")
_SCHEMES_LATER: Final = ("digest", "oidc")


def _one_scheme(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    fix = f"write one of: {', '.join(_SCHEMES)}"
    later = next((scheme for scheme in _SCHEMES_LATER if scheme in value), None)
    if later is not None:
        message = f"authentication by `{later}` is not in the profile"
        raise problem("not-in-profile", message, fix)
    if len([scheme for scheme in _SCHEMES if scheme in value]) != 1:
        raise problem("authentication", "an authentication has one scheme", fix)
    scheme, body = next(iter(value.items()))
    if scheme != "use" and isinstance(body, dict) and not body:
        raise problem("authentication", f"`{scheme}` is empty", "give it its credentials or `use`")
    return value


Authentication: TypeAlias = Annotated[AuthenticationPolicy, BeforeValidator(_one_scheme)]


class EndpointSpec(Strict):
    uri: Text
    authentication: Authentication | None = None


Endpoint: TypeAlias = Annotated[
    Annotated[Text, Tag("<name>")] | Annotated[EndpointSpec, Tag("<object>")],
    Discriminator(by_type),
]
"""A URI, a URI template (RFC 6570, simple expansion) or an expression; with or without policy."""


class Resource(Strict):
    """The specification's external resource."""

    name: str | None = None
    endpoint: Endpoint


Members: TypeAlias = Annotated[
    Annotated[str, Tag("<name>")] | Annotated[dict[str, Any], Tag("<object>")],
    Discriminator(by_type),
]
"""An object, or an expression that gives one."""


class HttpArguments(Strict):
    method: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{1,16}$")]
    endpoint: Endpoint
    headers: Members = Field(default_factory=dict)
    body: Any = None
    query: Members = Field(default_factory=dict)
    output: Output = "content"
    redirect: bool = False


class OpenApiArguments(Strict):
    document: Resource
    operation_id: Text = Field(alias="operationId")
    parameters: Members = Field(default_factory=dict)
    authentication: Authentication | None = None
    output: Output = "content"
    redirect: bool = False


class A2aArguments(Strict):
    method: Literal[tuple(A2A_METHODS)]  # type: ignore[valid-type]
    agent_card: Resource | None = Field(None, alias="agentCard")
    server: Endpoint | None = None
    parameters: Members = Field(default_factory=dict)


class McpHttp(Strict):
    endpoint: Endpoint
    headers: Members = Field(default_factory=dict)


class McpTransport(Strict):
    http: McpHttp
    options: dict[str, str] = Field(default_factory=dict)


def _no_process(value: Any) -> Any:
    if isinstance(value, dict) and "stdio" in value:
        message = "MCP over stdio would run a program from a document"
        raise problem("refused", message, "serve the tools over http")
    return value


class McpClient(Strict):
    name: Text
    version: Text = "1.0.0"


class McpArguments(Strict):
    protocol_version: Text = Field("2025-06-18", alias="protocolVersion")
    method: Literal[MCP_METHODS]  # type: ignore[valid-type]
    parameters: Members = Field(default_factory=dict)
    timeout: Duration | None = None
    transport: Annotated[McpTransport, BeforeValidator(_no_process)]
    client: McpClient | None = None


def uri_of(endpoint: str | EndpointSpec) -> str:
    return endpoint if isinstance(endpoint, str) else endpoint.uri


def authentication_of(endpoint: str | EndpointSpec) -> AuthenticationPolicy | None:
    return None if isinstance(endpoint, str) else endpoint.authentication


def is_template(uri: str) -> bool:
    return not is_expression(uri) and "{" in uri
