"""Local accounts: one token for each role, made at the first start, for a mesh on one machine.

::

    AccountsFileError   503 accounts_unusable
    UnauthenticatedError (parley_coordinator.errors)

The file `tokens.json` in the home directory maps a role to its token; the role's name is the
subject. Removing a line closes that account; removing the file makes new tokens for all.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from parley_cards import strict_json
from parley_cards.errors import Kind, ParleyError
from parley_wire.webhooks import signing_key

from parley_coordinator.errors import CoordinatorError, UnauthenticatedError
from parley_coordinator.governance.access import Principal, Role

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME: Final = "tokens.json"
_TOKEN = re.compile(r"pt_[A-Za-z0-9_-]{32,128}")
_ROLES: Final = {str(role): role for role in Role}
_MAX_FILE_BYTES: Final = 16_384
_MAX_HEADER_CHARS: Final = 512


class AccountsFileError(CoordinatorError):
    """The file with the tokens cannot be trusted or read; nobody is let in."""

    code: ClassVar[str] = "accounts_unusable"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE


class Accounts:
    """Who a token belongs to.

    Args:
        tokens: Role by token. Only digests of the tokens are kept.
    """

    def __init__(self, tokens: Mapping[str, Role]) -> None:
        self._principals = [
            (_digest(token), Principal(subject=str(role), roles=frozenset({role})))
            for token, role in tokens.items()
        ]

    @classmethod
    def open(cls, home: Path) -> Accounts:
        """Read `home/tokens.json`; make it, readable by its owner only, if it is not there.

        Raises:
            AccountsFileError: If others may read it, or it is not what this module wrote.
        """
        return cls({token: role for role, token in open_tokens(home).items()})

    @property
    def holders(self) -> dict[str, set[str]]:
        """The subjects that hold each role."""
        found: dict[str, set[str]] = {}
        for _, principal in self._principals:
            for role in principal.roles:
                found.setdefault(str(role), set()).add(principal.subject)
        return found

    def named(self, subject: str) -> Principal | None:
        """Return who has this subject, as of now; None: nobody any more."""
        for _, principal in self._principals:
            if principal.subject == subject:
                return principal
        return None

    def signing_keys(self, subject: str) -> list[bytes]:
        """Return the keys of what is sent to somebody, one for each of their tokens."""
        return [
            signing_key(known)
            for known, principal in self._principals
            if principal.subject == subject
        ]

    def principal(self, authorization: str | None) -> Principal:
        """Say who sends this `Authorization` header.

        Takes the same time whichever token it is compared with.

        Raises:
            UnauthenticatedError: If it is missing, not a bearer token, or not one of ours.
        """
        scheme, _, token = (authorization or "")[:_MAX_HEADER_CHARS].partition(" ")
        offered = _digest(token.strip())
        found = None
        for known, principal in self._principals:
            if hmac.compare_digest(known, offered):
                found = principal
        if found is None or scheme.lower() != "bearer":
            raise UnauthenticatedError
        return found


def open_tokens(home: Path) -> dict[Role, str]:
    """Return the token of each account in `home`, making the file at the first call.

    Raises:
        AccountsFileError: As `Accounts.open`.
    """
    path = home / FILE_NAME
    if not path.exists():
        _make(path)
    return read_tokens(path)


def read_tokens(path: Path) -> dict[Role, str]:
    """Return the token of each account in the file `path`.

    Raises:
        AccountsFileError: If it is missing, others may read it, or it is not `{role: token}`.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            raw = file.read(_MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise AccountsFileError(f"cannot read {path}: {exc.strerror}") from exc
    if mode & 0o077:
        raise AccountsFileError(f"others may read {path}; run: chmod 600 {path}")
    try:
        body = strict_json.loads(raw, max_bytes=_MAX_FILE_BYTES)
    except ParleyError as exc:
        raise AccountsFileError(f"{path} is not usable: {exc.message}") from exc
    if not isinstance(body, dict):
        raise AccountsFileError(f"{path} must be a JSON object of role and token")
    tokens: dict[Role, str] = {}
    for name, token in body.items():
        if name not in _ROLES:
            raise AccountsFileError(f"{path} names {name[:40]!r}, which is not a role")
        if not (isinstance(token, str) and _TOKEN.fullmatch(token)):
            raise AccountsFileError(f"{path}: the token of {name} must look like pt_...")
        tokens[_ROLES[name]] = token
    if len(set(tokens.values())) != len(tokens):
        raise AccountsFileError(f"{path} gives two accounts the same token")
    return tokens


def _make(path: Path) -> None:
    """Write new tokens; if another process is faster, its file stands."""
    tokens = {str(role): f"pt_{secrets.token_urlsafe(32)}" for role in Role}
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(json.dumps(tokens, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            # Unlike a rename, a link never replaces: all processes end up with one set of tokens.
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(draft)
        finally:
            draft.unlink()
    except OSError as exc:
        raise AccountsFileError(f"cannot write {path}: {exc.strerror}") from exc


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
