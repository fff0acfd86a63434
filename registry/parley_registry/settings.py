"""How a registry process is set up. The only place here that reads the environment.

=========================  ===========  =============================================================
variable                   default      meaning
=========================  ===========  =============================================================
PARLEY_HOME                `.parley`    directory of `registry.db`
PARLEY_MESH_TOKEN          none         bearer token that every caller must send
PARLEY_LEASE_GRACE_S       15           seconds after its lease until an agent is probed
PARLEY_PROBE_INTERVAL_S    10           seconds between two probes of an agent without a lease
=========================  ===========  =============================================================
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from parley_registry.catalog import Timing
from parley_registry.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    host: str
    port: int
    home: Path
    token: str | None
    timing: Timing

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.home / 'registry.db'}"


def load_settings(
    *, host: str, port: int, home: Path | None, environ: Mapping[str, str] = os.environ
) -> Settings:
    """Join the command line and the environment.

    Raises:
        SettingsError: If the registry would listen beyond this machine without a token, or a number
            is none.
    """
    token = environ.get("PARLEY_MESH_TOKEN") or None
    if token is None and not _is_loopback(host):
        raise SettingsError(
            f"refusing to listen on {host} without a token: set PARLEY_MESH_TOKEN,"
            " or listen on 127.0.0.1"
        )
    return Settings(
        host=host,
        port=port,
        home=home or Path(environ.get("PARLEY_HOME") or ".parley"),
        token=token,
        timing=Timing(
            grace=_seconds(environ, "PARLEY_LEASE_GRACE_S", default=15),
            probe_every=_seconds(environ, "PARLEY_PROBE_INTERVAL_S", default=10),
        ),
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _seconds(environ: Mapping[str, str], name: str, *, default: int) -> timedelta:
    text = environ.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= 3600):
        raise SettingsError(f"{name} must be a whole number of seconds from 1 to 3600")
    return timedelta(seconds=int(text))
