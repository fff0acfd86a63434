"""How an agent process is set up. The only place here that reads the environment.

======================  =========================================  ==============================
variable                default                                    meaning
======================  =========================================  ==============================
PARLEY_HOME             `.parley`                                  directory of NAME.db
PARLEY_MESH_TOKEN       none                                       bearer token of the mesh: sent,
                                                                   and required from callers
PARLEY_PUBLIC_URL       http://HOST:PORT                           address for others
PARLEY_REGISTRY_URL     http://127.0.0.1:8421                      registry to join; `none`: none
PARLEY_ERP_URL          http://127.0.0.1:8430                      ERP, without /mcp
PARLEY_POLICY           workflows/invoice-exception/policy.yaml    thresholds of the matching agent
PARLEY_TLS              none                                       folder of tls.crt, tls.key, ca.crt
PARLEY_CARD_KEY         none                                       private key that signs the card
======================  =========================================  ==============================
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parley_wire.addresses import is_http_url, is_loopback
from parley_wire.showing import shown_url
from parley_wire.tls import Tls
from parley_wire.webhooks import named_hosts

from parley_agents.doors import Doors
from parley_agents.errors import AgentSettingsError

if TYPE_CHECKING:
    from parley_cards.keys import SigningKey

MAX_PACE_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an agent is told from outside."""

    host: str
    port: int
    home: Path
    url: str
    registry_url: str | None
    erp_url: str
    policy: Path
    token: str | None
    pace_s: float
    doors: Doors

    @property
    def tls(self) -> Tls:
        return self.doors.tls


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The command line; what is None is taken from the environment."""

    host: str
    port: int
    home: Path | None = None
    url: str | None = None
    registry: str | None = None
    erp: str | None = None
    policy: Path | None = None
    pace_s: float = 0.0


def load_settings(given: Given, environ: Mapping[str, str] = os.environ) -> Settings:
    """Join the command line and the environment.

    Raises:
        AgentSettingsError: If the agent would be open to a network without a token, or nobody could
            tell where it is.
        TlsError, CardKeyError: If a certificate or key cannot be used.
    """
    token = environ.get("PARLEY_MESH_TOKEN") or None
    if token is None and not is_loopback(given.host):
        raise AgentSettingsError(
            f"refusing to listen on {given.host} without a token: set PARLEY_MESH_TOKEN,"
            " or listen on 127.0.0.1"
        )
    url = given.url or environ.get("PARLEY_PUBLIC_URL")
    if url is None and (given.port == 0 or given.host in {"0.0.0.0", "::"}):
        raise AgentSettingsError(
            f"others cannot reach {given.host}:{given.port}; say with --url what they can reach"
        )
    if not 0.0 <= given.pace_s <= MAX_PACE_S:
        raise AgentSettingsError(f"--pace must be from 0 to {MAX_PACE_S:g} seconds")
    host = f"[{given.host}]" if ":" in given.host else given.host
    registry = given.registry or environ.get("PARLEY_REGISTRY_URL") or "http://127.0.0.1:8421"
    erp = given.erp or environ.get("PARLEY_ERP_URL") or "http://127.0.0.1:8430"
    doors = _doors(given.host, environ)
    policy = environ.get("PARLEY_POLICY") or "workflows/invoice-exception/policy.yaml"
    return Settings(
        host=given.host,
        port=given.port,
        home=given.home or Path(environ.get("PARLEY_HOME") or ".parley"),
        url=_address(url or f"{doors.tls.scheme}://{host}:{given.port}", "--url"),
        registry_url=None if registry == "none" else _address(registry, "--registry"),
        erp_url=_address(erp, "--erp"),
        policy=given.policy or Path(policy),
        token=token,
        pace_s=given.pace_s,
        doors=doors,
    )


def _doors(host: str, environ: Mapping[str, str]) -> Doors:
    port = environ.get("PARLEY_GRPC_PORT", "")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536):
        raise AgentSettingsError(f"PARLEY_GRPC_PORT must be a port, not {port[:20]!r}")
    shown = f"[{host}]" if ":" in host else host
    try:
        webhooks = named_hosts(environ.get("PARLEY_WEBHOOKS", ""))
    except ValueError as exc:
        raise AgentSettingsError(
            f"PARLEY_WEBHOOKS has {str(exc)[:80]!r}; write `public`, HOST or HOST:PORT"
        ) from exc
    return Doors(
        grpc=f"{shown}:{port}" if port else None,
        webhooks=webhooks,
        older=environ.get("PARLEY_OLDER") == "1",
        tls=Tls.of(environ.get("PARLEY_TLS")),
        signer=_signer(environ.get("PARLEY_CARD_KEY")),
    )


def _signer(path: str | None) -> SigningKey | None:
    if not path:
        return None
    # Imported when it is needed: cryptography costs a start 80 ms.
    from parley_cards.key_files import read_signing_key  # noqa: PLC0415

    return read_signing_key(Path(path))


def _address(text: str, option: str) -> str:
    if not is_http_url(text):
        raise AgentSettingsError(f"{option} must be an http(s) address, not {shown_url(text)!r}")
    return text.rstrip("/")
