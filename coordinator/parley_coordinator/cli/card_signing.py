"""`parley card`: keys for agent cards, signing, and who has signed one."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from parley_cards.card import MAX_CARD_BYTES, Card, load_card
from parley_cards.key_files import read_keyring, read_signing_key, write_signing_key
from parley_cards.keys import SigningKey
from parley_cards.signatures import Mode, admit, sign

from parley_coordinator.cli.errors import UsageError
from parley_coordinator.cli.output import console, print_json, text

STDIN: Final = "-"


def make_key(file: Path, algorithm: str, key_id: str) -> None:
    """Raises: CardKeyError."""
    key = SigningKey.new(algorithm, key_id=key_id)
    write_signing_key(key, file)
    _print(key.public_jwk())
    console(stderr=True).print(text(f"the private key is in {file}; keep it to yourself", "dim"))


def print_public(file: Path) -> None:
    """Raises: CardKeyError."""
    _print(read_signing_key(file).public_jwk())


def print_signed(file: str, key: Path) -> None:
    """Raises: UsageError, InvalidCardError, CardKeyError."""
    _print(sign(_read(file).json, read_signing_key(key)))


def print_signer(file: str, keys: Path, *, as_json: bool) -> None:
    """Raises: UsageError, InvalidCardError, CardKeyError, or why the card is not taken."""
    card = _read(file)
    found = admit(card.json, read_keyring(keys), Mode.REQUIRE, now=datetime.now(UTC))
    if as_json:
        print_json({"state": found.state.value, "key": found.key_id, "digest": card.digest})
    else:
        console().print(text(f"{card.name} {card.version} is signed by {found.key_id}"))


def _print(value: dict[str, Any]) -> None:
    """Print JSON as it is: what a terminal would not show is escaped."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def _read(file: str) -> Card:
    try:
        if file == STDIN:
            return load_card(sys.stdin.buffer.read(MAX_CARD_BYTES + 1))
        with Path(file).open("rb") as card:
            return load_card(card.read(MAX_CARD_BYTES + 1))
    except OSError as exc:
        raise UsageError(f"cannot read {file}: {exc.strerror}") from exc
