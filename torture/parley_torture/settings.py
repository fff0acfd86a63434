"""The environment of the kit; the only place that reads it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS: Final = "PARLEY_"
DATABASE: Final = "TORTURE_DATABASE_URL"
"""Tells an adapter its database: a command line, and a password in it, is seen by everybody here."""


def adapter_environment(
    database_url: str | None, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment of an adapter; what this user has set for himself is not told."""
    found = os.environ if environ is None else environ
    told = {} if database_url is None else {DATABASE: database_url}
    return {name: value for name, value in found.items() if name != DATABASE} | told


def bare_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment without the settings of a mesh that this user may have."""
    found = os.environ if environ is None else environ
    return {
        name: value
        for name, value in found.items()
        if not name.startswith(OURS) and name != DATABASE
    }
