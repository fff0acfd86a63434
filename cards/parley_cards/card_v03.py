"""A card of A2A 0.3, seen as one of 1.0: only the addresses are written in another way.

Source: A2A 0.3 section 5.5; A2A 1.0 appendix A.2.
"""

from __future__ import annotations

import re
from typing import Any, Final

VERSION: Final = "0.3.0"
"""Of a card that does not say which."""
_SUPPORTED: Final = re.compile(r"0\.3(\.\d{1,9})?", re.ASCII)


def is_older(value: dict[str, Any]) -> bool:
    """Whether this is a card from before 1.0."""
    return "supportedInterfaces" not in value and isinstance(value.get("url"), str)


def is_v03(value: dict[str, Any]) -> bool:
    version = value.get("protocolVersion", VERSION)
    return (
        is_older(value)
        and isinstance(version, str)
        and _SUPPORTED.fullmatch(version.strip()) is not None
    )


def as_current(value: dict[str, Any]) -> dict[str, Any]:
    """Return the card with the addresses where 1.0 has them, the preferred one first."""
    version = str(value.get("protocolVersion", VERSION)).strip()
    preferred = {"url": value["url"], "transport": value.get("preferredTransport") or "JSONRPC"}
    others = value.get("additionalInterfaces")
    interfaces = [preferred]
    for each in others if isinstance(others, list) else []:
        shown = each if isinstance(each, dict) else {}
        listed = {"url": shown.get("url"), "transport": shown.get("transport")}
        if listed not in interfaces:
            interfaces.append(listed)
    return {
        **value,
        "supportedInterfaces": [
            {
                "url": each["url"],
                "protocolBinding": each["transport"],
                "protocolVersion": version,
            }
            for each in interfaces
        ],
    }
