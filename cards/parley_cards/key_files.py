"""Keys for agent cards as files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from parley_cards.keys import CardKeyError, EnrolledKey, Keyring, SigningKey, keys_of

MAX_FILE_BYTES: Final = 1_048_576
SUFFIXES: Final = frozenset({".json", ".jwk", ".jwks", ".pem"})

Found = TypeVar("Found")


def read_signing_key(path: Path) -> SigningKey:
    """Read a private key that only its owner can open.

    Raises:
        CardKeyError: If the file cannot be read, is open to others, or holds no such key.
    """
    raw = _read(path)
    if path.stat().st_mode & 0o077:
        raise CardKeyError(f"{path} may be opened by others; chmod 600 it")
    return _named(path, lambda: SigningKey.read(raw))


def write_signing_key(key: SigningKey, path: Path) -> None:
    """Write a private key for its owner alone.

    Raises:
        CardKeyError: If there is something of that name, or it cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as exc:
        raise CardKeyError(f"{path} exists; a key is not overwritten") from exc
    except OSError as exc:
        raise CardKeyError(f"cannot write {path}: {exc.strerror}") from exc
    with os.fdopen(handle, "w") as file:
        file.write(json.dumps(key.private_jwk(), indent=2) + "\n")


def read_keyring(path: Path) -> Keyring:
    """Read a JWK Set, or every key of a folder: its files *.json, *.jwk, *.jwks and *.pem.

    Raises:
        CardKeyError: If there is no such file or folder, or one of the files holds anything else.
    """
    if not path.is_dir():
        return Keyring(_keys(path))
    files = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
    return Keyring(key for file in files for key in _keys(file))


def _keys(path: Path) -> list[EnrolledKey]:
    raw = _read(path)
    return _named(path, lambda: keys_of(raw))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise CardKeyError(f"cannot read {path}: {exc.strerror}") from exc
    if len(raw) > MAX_FILE_BYTES:
        raise CardKeyError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
    return raw


def _named(path: Path, read: Callable[[], Found]) -> Found:
    try:
        return read()
    except CardKeyError as exc:
        raise CardKeyError(f"{path}: {exc.message}") from exc
