"""Which cards the registry takes, by their signatures, and what it tells about those that it has.

Nothing here reads a clock, a database or a socket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parley_cards.errors import ParleyError
from parley_cards.keys import Keyring
from parley_cards.signatures import Mode, Signature, Signed, admit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MAX_REMEMBERED: Final = 5000


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the keys of the operator say about one card."""

    signature: Signature
    refusal: ParleyError | None = None
    """Why it is not taken; None: it is."""

    def admitted(self) -> Signature:
        """Raises: InvalidCardSignatureError, MissingCardSignatureError."""
        if self.refusal is not None:
            raise self.refusal
        return self.signature


class Signatures:
    """Judges cards, and remembers what it found until another key is valid.

    Args:
        keys: Those that the operator has enrolled.
    """

    def __init__(self, mode: Mode = Mode.VERIFY_IF_PRESENT, keys: Keyring | None = None) -> None:
        self._mode = mode
        self._keys = keys or Keyring()
        self._usable: frozenset[str] = frozenset()
        self._found: dict[str, Judgement] = {}

    def remembered(self, digest: str, *, now: datetime) -> Judgement | None:
        self._forget(now)
        return self._found.get(digest)

    def judge(self, digest: str, card: Mapping[str, Any], *, now: datetime) -> Judgement:
        """Judge the JSON of a card; `digest` is over all of it."""
        self._forget(now)
        try:
            found = Judgement(admit(card, self._keys, self._mode, now=now))
        except ParleyError as exc:
            state = Signed.UNVERIFIED if card.get("signatures") else Signed.UNSIGNED
            found = Judgement(Signature(state=state, reason=exc.message), exc)
        if len(self._found) >= MAX_REMEMBERED:
            self._found.clear()
        self._found[digest] = found
        return found

    def _forget(self, now: datetime) -> None:
        usable = self._keys.usable(now)
        if usable != self._usable:
            self._usable = usable
            self._found.clear()
