"""How a registry process is set up. The only place here that reads the environment.

=========================  ===========  =============================================================
variable                   default      meaning
=========================  ===========  =============================================================
PARLEY_HOME                `.parley`    directory of `registry.db`
PARLEY_MESH_TOKEN          none         bearer token that every caller must send
PARLEY_LEASE_GRACE_S       15           seconds after its lease until an agent is probed
PARLEY_PROBE_INTERVAL_S    10           seconds between two probes of an agent without a lease
PARLEY_CARD_KEYS           none         keys that may sign cards: a folder, or a JWK Set
PARLEY_CARD_SIGNATURES     verify-      what a card's signatures have to be: `off`,
                           if-present   `verify-if-present`, `require`
PARLEY_TLS                 none         folder of tls.crt, tls.key, ca.crt
=========================  ===========  =============================================================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from parley_cards.key_files import read_keyring
from parley_cards.keys import Keyring
from parley_cards.signatures import Mode
from parley_wire.addresses import is_loopback
from parley_wire.tls import Tls

from parley_registry.catalog import Timing
from parley_registry.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    host: str
    port: int
    home: Path
    token: str | None
    timing: Timing
    keys: Keyring
    """Those that may sign cards."""
    mode: Mode
    tls: Tls

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.home / 'registry.db'}"


def load_settings(
    *, host: str, port: int, home: Path | None, environ: Mapping[str, str] = os.environ
) -> Settings:
    """Join the command line and the environment.

    Raises:
        SettingsError: If the registry would listen beyond this machine without a token, or a number
            is none, or no card could ever be taken.
        CardKeyError, TlsError: If a key or a certificate cannot be used.
    """
    token = environ.get("PARLEY_MESH_TOKEN") or None
    if token is None and not is_loopback(host):
        raise SettingsError(
            f"refusing to listen on {host} without a token: set PARLEY_MESH_TOKEN,"
            " or listen on 127.0.0.1"
        )
    keys = environ.get("PARLEY_CARD_KEYS")
    keyring = read_keyring(Path(keys)) if keys else Keyring()
    mode = _mode(environ.get("PARLEY_CARD_SIGNATURES") or Mode.VERIFY_IF_PRESENT)
    if mode is Mode.REQUIRE and not keyring:
        raise SettingsError(
            "PARLEY_CARD_SIGNATURES is `require`, but no key is enrolled: set PARLEY_CARD_KEYS"
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
        keys=keyring,
        mode=mode,
        tls=Tls.of(environ.get("PARLEY_TLS")),
    )


def _mode(text: str) -> Mode:
    try:
        return Mode(text)
    except ValueError as exc:
        raise SettingsError(f"PARLEY_CARD_SIGNATURES must be {', '.join(Mode)}") from exc


def _seconds(environ: Mapping[str, str], name: str, *, default: int) -> timedelta:
    text = environ.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= 3600):
        raise SettingsError(f"{name} must be a whole number of seconds from 1 to 3600")
    return timedelta(seconds=int(text))
