"""The environment of the kit; the only place that reads it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS: Final = "PARLEY_"


def bare_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment without the settings of a mesh that this user may have."""
    found = os.environ if environ is None else environ
    return {name: value for name, value in found.items() if not name.startswith(OURS)}
