"""The shape that A2A 1.0 gives an agent card, as far as the mesh relies on it.

Unknown fields are ignored, so that a card of a later protocol version still loads. An optional
field may be null, which ProtoJSON reads as absent.

Source: A2A 1.0 sections 4.4 (card), 4.6 (extensions), 8.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

HTTP_BINDINGS: Final = frozenset({"JSONRPC", "HTTP+JSON"})
"""The bindings of A2A 1.0 that are spoken over HTTP; others may have addresses of another form."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CONTROL_BUT_LAYOUT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _one_line(text: str) -> str:
    # Names reach terminals and pages: an escape sequence or a reversed direction would lie there.
    if _CONTROL.search(text):
        raise ValueError("must be one line without control characters")
    return text


def _prose(text: str) -> str:
    if _CONTROL_BUT_LAYOUT.search(text):
        raise ValueError("must not hold control characters")
    return text


def _visible(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


Name = Annotated[str, Field(max_length=200), AfterValidator(_one_line), AfterValidator(_visible)]
Prose = Annotated[str, Field(max_length=20_000), AfterValidator(_prose)]


class A2AModel(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", alias_generator=to_camel, frozen=True)


class InterfaceForm(A2AModel):
    url: Annotated[str, Field(max_length=2048), AfterValidator(_one_line), AfterValidator(_visible)]
    protocol_binding: Name
    protocol_version: Name
    tenant: Annotated[str, Field(max_length=200), AfterValidator(_one_line)] | None = None


class ExtensionForm(A2AModel):
    uri: Name
    description: Prose | None = None
    required: bool | None = None
    params: dict[str, Any] | None = None


class CapabilitiesForm(A2AModel):
    streaming: bool | None = None
    push_notifications: bool | None = None
    extended_agent_card: bool | None = None
    extensions: Annotated[list[ExtensionForm], Field(max_length=100)] | None = None


class SkillForm(A2AModel):
    id: Name
    name: Name
    description: Prose
    tags: Annotated[list[Name], Field(max_length=100)]
    examples: list[Prose] | None = None
    input_modes: list[Name] | None = None
    output_modes: list[Name] | None = None
    security_requirements: list[dict[str, Any]] | None = None


class ProviderForm(A2AModel):
    organization: Name
    url: Prose


class SignatureForm(A2AModel):
    protected: str
    signature: str
    header: dict[str, Any] | None = None


class CardForm(A2AModel):
    name: Name
    version: Name
    description: Prose
    supported_interfaces: Annotated[list[InterfaceForm], Field(min_length=1, max_length=50)]
    capabilities: CapabilitiesForm
    default_input_modes: list[Name]
    default_output_modes: list[Name]
    skills: Annotated[list[SkillForm], Field(min_length=1, max_length=500)]
    provider: ProviderForm | None = None
    documentation_url: Prose | None = None
    icon_url: Prose | None = None
    security_schemes: dict[str, dict[str, Any]] | None = None
    security_requirements: list[dict[str, Any]] | None = None
    signatures: list[SignatureForm] | None = None


def address_problem(url: str, binding: str) -> str:
    """Say what is wrong with an interface's address; empty if nothing is.

    Only the HTTP bindings are held to `http(s)://host`: gRPC addresses are `host:port` in the wild.
    """
    if binding not in HTTP_BINDINGS:
        return ""
    return http_url_problem(url)


def http_url_problem(url: str) -> str:
    """Say why `url` is not an absolute http(s) URL that the mesh would call; empty if it is one."""
    if any(char <= " " or char == "\\" for char in url):
        return "must not hold blanks or backslashes"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must be an absolute http or https URL"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or password"
    if parts.fragment or port == 0:
        return "must not have a fragment or port 0"
    return ""
