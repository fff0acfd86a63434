"""The secrets of an installation: one file each, read when a document asks for it by name."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parley_cards import strict_json
from parley_cards.errors import ParleyError

from parley_coordinator.protocols.redaction import confidential
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTING: Final = "PARLEY_SECRETS_DIR"
MAX_BYTES: Final = 65_536
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Read:
    stamp: tuple[int, int, int]
    value: str | dict[str, Any]


class Secrets:
    """Files in one folder. A file that changes is read again; what was read stays confidential.

    Args:
        folder: Need not exist: then there are no secrets.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, _Read] = {}
        self._values: set[str] = set()

    def get(self, name: str) -> str | dict[str, Any]:
        """Return a secret: the members of a file that holds a JSON object, else its text.

        Raises:
            WorkflowError: `authorization`, if there is none, or its file is not for us alone.
        """
        if not _NAME.fullmatch(name):
            raise _refused(f"{name[:80]!r} is no name of a secret; use letters, digits, - and _")
        try:
            # Without waiting, should it be a pipe; what was opened is what is looked at.
            fd = os.open(self._folder / name, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            raise _refused(
                f"there is no secret {name!r}; put it into a file in {SETTING}"
            ) from None
        except OSError as exc:
            raise _refused(f"the secret {name!r} cannot be read: {exc.strerror}") from exc
        try:
            stamp = _checked(name, os.fstat(fd))
            known = self._read.get(name)
            if known is None or known.stamp != stamp:
                known = _Read(stamp, _value(name, os.read(fd, MAX_BYTES + 1)))
                self._read[name] = known
                self._values.update(confidential(known.value))
        finally:
            os.close(fd)
        return known.value

    def values(self) -> Iterator[str]:
        """Yield every text that must not be written down, of all secrets that have been read."""
        return iter(tuple(self._values))


def _checked(name: str, found: os.stat_result) -> tuple[int, int, int]:
    """Return what tells a changed file, once it is a file for us alone."""
    if not stat.S_ISREG(found.st_mode):
        raise _refused(f"the secret {name!r} is no file")
    if found.st_mode & 0o077:
        raise _refused(f"the file of the secret {name!r} is open to others; chmod 600 it")
    return found.st_mtime_ns, found.st_size, found.st_ino


def _value(name: str, raw: bytes) -> str | dict[str, Any]:
    if len(raw) > MAX_BYTES:
        raise _refused(f"the secret {name!r} is longer than {MAX_BYTES} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(f"the secret {name!r} is not UTF-8") from None
    if text.lstrip().startswith("{"):
        try:
            members: dict[str, Any] = strict_json.loads(text)
        except ParleyError as exc:
            raise _refused(f"the secret {name!r} is not usable JSON: {exc.message}") from None
        return members
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _refused(f"the secret {name!r} is empty")
    return text


def _refused(detail: str) -> WorkflowError:
    return WorkflowError(Standard.AUTHORIZATION, "A secret is not available", detail)
