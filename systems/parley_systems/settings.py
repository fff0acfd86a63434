"""Settings from the environment; the only place of this package that reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from parley_wire.addresses import is_loopback
from parley_wire.auth import Tokens
from parley_wire.tls import Tls

from parley_systems.errors import InvalidSettingsError

DEFAULT_HOME: Final = ".parley"
MESH_CALLER: Final = "mesh"
"""Whoever holds the mesh token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    home: Path
    """`PARLEY_HOME`: the directory of the database."""
    mesh_token: str
    """`PARLEY_MESH_TOKEN`; empty: no token is asked for."""
    tls_folder: str
    """`PARLEY_TLS`: see `parley_wire.tls`; empty: no TLS."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        found = os.environ if environment is None else environment
        return cls(
            home=Path(found.get("PARLEY_HOME", "") or DEFAULT_HOME),
            mesh_token=found.get("PARLEY_MESH_TOKEN", ""),
            tls_folder=found.get("PARLEY_TLS", ""),
        )

    def tls(self) -> Tls:
        """Raises: TlsError."""
        return Tls.of(self.tls_folder)

    def tokens(self, *, host: str) -> Tokens | None:
        """Return the tokens to ask for when listening on `host`.

        Raises:
            InvalidSettingsError: If anybody on a network could call without a token.
        """
        if self.mesh_token:
            return Tokens({self.mesh_token: MESH_CALLER})
        if not is_loopback(host):
            raise InvalidSettingsError(
                f"set PARLEY_MESH_TOKEN to listen on {host}; without one, only on 127.0.0.1"
            )
        return None
