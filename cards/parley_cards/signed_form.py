"""The bytes that the signatures of an agent card are made over.

The canonical form of the card without `signatures`, after the rules of protobuf for absent values:

* a required field is always there, with its default if nothing else;
* an optional field, and a message, is there exactly if the card has it;
* any other field is left out while it has its default.

So a card that went through protobuf, as every card does over gRPC, has the same bytes as before. What
A2A 1.0 does not define (a field of 0.3, a later version, an extension's `params`) is signed as it stands.

Source: A2A 1.0 section 8.4.1, which 8.4.2 and 8.4.3 shorten to "remove default values"; where they
differ the rules of 8.4.1 hold (ADR-0023). The table is that of `a2a.proto`; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from parley_cards.canonical import canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One message of the protocol."""

    required: Mapping[str, Any] = field(default_factory=dict)
    """Field to default, of those that are no message."""
    plain: Mapping[str, Any] = field(default_factory=dict)
    """Field to default, of those whose absence cannot be told from their default."""
    optional: frozenset[str] = frozenset()
    """Every other field: what is there is meant."""
    inside: Mapping[str, Form] = field(default_factory=dict)
    """Fields that hold a message, or a list of them."""
    maps: Mapping[str, Form] = field(default_factory=dict)
    """Fields that hold messages by a key."""


_REQUIREMENT: Final = Form(
    plain={"schemes": {}},
    maps={"schemes": Form(plain={"list": []})},
)
_TOKEN: Final = {"tokenUrl": "", "scopes": {}}
_NO_REFRESH: Final = {"refreshUrl": ""}
_OLD_FLOW: Final = {"refreshUrl": "", "scopes": {}}
_FLOWS: Final = {
    "authorizationCode": Form(
        required={"authorizationUrl": "", **_TOKEN}, plain={**_NO_REFRESH, "pkceRequired": False}
    ),
    "clientCredentials": Form(required=_TOKEN, plain=_NO_REFRESH),
    "implicit": Form(plain={"authorizationUrl": "", **_OLD_FLOW}),
    "password": Form(plain={"tokenUrl": "", **_OLD_FLOW}),
    "deviceCode": Form(required={"deviceAuthorizationUrl": "", **_TOKEN}, plain=_NO_REFRESH),
}
_SAID: Final = {"description": ""}
_SCHEMES: Final = {
    "apiKeySecurityScheme": Form(required={"location": "", "name": ""}, plain=_SAID),
    "httpAuthSecurityScheme": Form(required={"scheme": ""}, plain={**_SAID, "bearerFormat": ""}),
    "oauth2SecurityScheme": Form(
        plain={**_SAID, "oauth2MetadataUrl": ""},
        optional=frozenset({"flows"}),
        inside={"flows": Form(optional=frozenset(_FLOWS), inside=_FLOWS)},
    ),
    "openIdConnectSecurityScheme": Form(required={"openIdConnectUrl": ""}, plain=_SAID),
    "mtlsSecurityScheme": Form(plain=_SAID),
}
CARD: Final = Form(
    required={
        "name": "",
        "description": "",
        "version": "",
        "supportedInterfaces": [],
        "defaultInputModes": [],
        "defaultOutputModes": [],
        "skills": [],
    },
    plain={"securitySchemes": {}, "securityRequirements": []},
    optional=frozenset({"capabilities", "provider", "documentationUrl", "iconUrl"}),
    inside={
        "capabilities": Form(
            plain={"extensions": []},
            optional=frozenset({"streaming", "pushNotifications", "extendedAgentCard"}),
            inside={
                "extensions": Form(
                    plain={"uri": "", **_SAID, "required": False}, optional=frozenset({"params"})
                )
            },
        ),
        "provider": Form(required={"url": "", "organization": ""}),
        "supportedInterfaces": Form(
            required={"url": "", "protocolBinding": "", "protocolVersion": ""},
            plain={"tenant": ""},
        ),
        "skills": Form(
            required={"id": "", "name": "", "description": "", "tags": []},
            plain={"examples": [], "inputModes": [], "outputModes": [], "securityRequirements": []},
            inside={"securityRequirements": _REQUIREMENT},
        ),
        "securityRequirements": _REQUIREMENT,
    },
    maps={"securitySchemes": Form(optional=frozenset(_SCHEMES), inside=_SCHEMES)},
)


def signed_bytes(card: Mapping[str, Any]) -> bytes:
    """Return what a signature of this card covers.

    Args:
        card: The JSON of a whole card, as it was sent.

    Raises:
        NotCanonicalError: If it holds a number or text that JSON readers disagree on.
    """
    return canonical(_shown({k: v for k, v in card.items() if k != "signatures"}, CARD))


def without_empty_values(card: Mapping[str, Any]) -> bytes:
    """Return what SDKs sign that drop every empty value: to say so, not to believe it (ADR-0023)."""
    kept = {k: v for k, v in card.items() if k != "signatures"}
    return canonical(_emptied(kept) or {})


def _emptied(value: Any) -> Any:
    """The value without what is empty, at any depth; None if nothing is left."""
    if isinstance(value, dict):
        kept = {name: _emptied(each) for name, each in value.items()}
        return {name: each for name, each in kept.items() if each is not None} or None
    if isinstance(value, list):
        return [each for each in map(_emptied, value) if each is not None] or None
    return None if value == "" else value


def _shown(message: Mapping[str, Any], form: Form) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in message.items():
        known = name in form.required or name in form.plain or name in form.optional
        if known and value is None:
            continue  # how ProtoJSON writes that a field is absent
        shown = _inside(name, value, form)
        if name in form.plain and _same(shown, form.plain[name]):
            continue
        found[name] = shown
    return {**form.required, **found}


def _inside(name: str, value: Any, form: Form) -> Any:
    if name in form.inside:
        deeper = form.inside[name]
        if isinstance(value, list):
            return [_shown(each, deeper) if isinstance(each, dict) else each for each in value]
        return _shown(value, deeper) if isinstance(value, dict) else value
    if name in form.maps and isinstance(value, dict):
        deeper = form.maps[name]
        return {
            key: _shown(each, deeper) if isinstance(each, dict) else each
            for key, each in value.items()
        }
    return value


def _same(value: Any, default: Any) -> bool:
    """Whether it is the default: 0 is not False."""
    return type(value) is type(default) and value == default
