"""The cards of the agents that ship with the mesh, one file each in library/."""

from __future__ import annotations

from importlib.resources import files
from typing import ClassVar

from parley_cards import strict_json
from parley_cards.card import MAX_CARD_BYTES, Card, CardError, load_card
from parley_cards.errors import Kind

_LIBRARY = files("parley_cards") / "library"


class UnknownCardError(CardError):
    """The library has no card of that name."""

    code: ClassVar[str] = "unknown_card"
    kind: ClassVar[Kind] = Kind.NOT_FOUND

    def __init__(self, name: str, *, known: list[str]) -> None:
        super().__init__(
            f"the library has no card {name[:80]!r}; it has: {', '.join(known) or 'none'}",
            known=known,
        )


def library_names() -> list[str]:
    """Return the names that `library_card` takes, sorted."""
    return sorted(
        entry.name.removesuffix(".json")
        for entry in _LIBRARY.iterdir()
        if entry.name.endswith(".json")
    )


def library_card(name: str, *, url: str) -> Card:
    """Load a card and put the agent's address into it.

    Args:
        name: File name in library/ without `.json`.
        url: Where the agent is served, absolute; JSON-RPC is below it at /a2a, HTTP+JSON at /rest.

    Raises:
        UnknownCardError: If the library has no such card.
        InvalidCardError: If the card or the address is not valid.
    """
    known = library_names()
    if name not in known:  # also keeps a name such as ../x from being read
        raise UnknownCardError(name, known=known)
    raw = (_LIBRARY / f"{name}.json").read_bytes()
    value = strict_json.loads(raw, max_bytes=MAX_CARD_BYTES)
    base = url.rstrip("/")
    if isinstance(value, dict):
        value["supportedInterfaces"] = [
            {"url": f"{base}/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
            {"url": f"{base}/rest", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"},
        ]
    return load_card(value)
