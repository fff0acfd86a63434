"""The coordinator's environment; the only place that reads it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlsplit

from parley_cards.errors import Kind
from parley_wire.addresses import is_http_url
from parley_wire.showing import shown_url
from parley_wire.tls import Tls
from parley_wire.webhooks import named_hosts

from parley_coordinator.errors import CoordinatorError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_WORKFLOWS: Final = Path("workflows")
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class SettingsError(CoordinatorError):
    """A setting is missing or wrong; the message names it."""

    code: ClassVar[str] = "settings"
    kind: ClassVar[Kind] = Kind.INVALID


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a coordinator is told from outside. docs/settings.md lists the variables."""

    home: Path
    database_url: str = field(repr=False)
    """Where runs and everything about them are; it may hold a password."""
    lease_s: float
    """So long after its last sign of life is a coordinator taken for dead that shares the database."""
    host: str
    port: int
    grpc_port: int | None
    """For A2A over gRPC, on `host`; None: it is not offered."""
    older: bool
    """Whether A2A 0.3 is spoken too."""
    webhooks: tuple[str, ...] | None
    """Who may be notified besides public https addresses: `host` or `host:port`; None: nobody at all."""
    registry_url: str = field(repr=False)
    workflows: Path
    public_url: str
    mesh_token: str | None = field(repr=False)
    patience_s: float
    agent_concurrency: int
    """Calls at once for an agent whose card names no number."""
    inline_bytes: int
    """Outputs of agents up to this size are in the journal, larger ones beside it."""
    max_depth: int
    """How many may pass work on, one after the other."""
    secrets: Path
    """Folder with one file for each secret."""
    egress: str
    """Hosts that workflows may reach, as written; `protocols.egress` reads it."""
    tls: Tls
    card_key: Path | None
    """Signs the cards."""

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        home: Path | None = None,
        database_url: str | None = None,
        host: str | None = None,
        port: int | None = None,
        registry_url: str | None = None,
        workflows: Path | None = None,
    ) -> Settings:
        """Read the environment; an argument that is given wins over its variable.

        Raises:
            SettingsError: If a value cannot be used.
            TlsError: If a certificate cannot be used.
        """
        env = os.environ if environ is None else environ
        host = host or env.get("PARLEY_HOST", "127.0.0.1")
        if port is None:
            port = _number(env, "PARLEY_PORT", 8420)
        tls = Tls.of(env.get("PARLEY_TLS"))
        if host not in LOOPBACK and not tls.serves and env.get("PARLEY_EXPOSE") != "1":
            raise SettingsError(
                f"{host} is not a loopback address, and tokens would be sent in the clear. Set"
                " PARLEY_TLS to a folder with tls.crt and tls.key, or PARLEY_EXPOSE=1 if a private"
                " network or a TLS proxy protects this port"
            )
        home = home or Path(env.get("PARLEY_HOME", ".parley"))
        return cls(
            home=home,
            database_url=database_url
            or env.get("PARLEY_DATABASE_URL")
            or f"sqlite:///{home / 'coordinator.db'}",
            lease_s=float(_at_least(env, "PARLEY_LEASE_S", 15, 2)),
            host=host,
            port=port,
            grpc_port=_number(env, "PARLEY_GRPC_PORT", 0) or None,
            older=env.get("PARLEY_OLDER") == "1",
            webhooks=_webhooks(env.get("PARLEY_WEBHOOKS", "")),
            registry_url=_address(
                "PARLEY_REGISTRY_URL",
                registry_url or env.get("PARLEY_REGISTRY_URL") or "http://127.0.0.1:8421",
            ),
            workflows=workflows or Path(env.get("PARLEY_WORKFLOWS") or DEFAULT_WORKFLOWS),
            public_url=_public(env.get("PARLEY_PUBLIC_URL"))
            or f"{tls.scheme}://{_shown(host)}:{port}",
            mesh_token=env.get("PARLEY_MESH_TOKEN") or None,
            patience_s=float(_number(env, "PARLEY_PATIENCE_S", 20)),
            agent_concurrency=_at_least(env, "PARLEY_AGENT_CONCURRENCY", 64, 1),
            inline_bytes=_number(env, "PARLEY_INLINE_BYTES", 262_144),
            max_depth=_number(env, "PARLEY_MAX_DEPTH", 16),
            secrets=Path(env.get("PARLEY_SECRETS_DIR") or home / "secrets"),
            egress=env.get("PARLEY_EGRESS", ""),
            tls=tls,
            card_key=Path(env["PARLEY_CARD_KEY"]) if env.get("PARLEY_CARD_KEY") else None,
        )


def _address(name: str, text: str) -> str:
    if not is_http_url(text):
        raise SettingsError(f"{name} must be an http(s) address, not {shown_url(text)!r}")
    return text.rstrip("/")


def _webhooks(text: str) -> tuple[str, ...] | None:
    try:
        return named_hosts(text)
    except ValueError as exc:
        raise SettingsError(
            f"PARLEY_WEBHOOKS has {str(exc)[:80]!r}; write `public`, HOST or HOST:PORT"
        ) from exc


def _public(text: str | None) -> str | None:
    if not text:
        return None
    parts = urlsplit(_address("PARLEY_PUBLIC_URL", text))
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            "PARLEY_PUBLIC_URL is told to everybody in cards;"
            " write scheme, host, port and path alone, without user, ? and #"
        )
    return text.rstrip("/")


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise SettingsError(f"{name} must be a whole number, not {text[:40]!r}")
    return int(text)


def _at_least(env: Mapping[str, str], name: str, default: int, least: int) -> int:
    found = _number(env, name, default)
    if found < least:
        raise SettingsError(f"{name} must be {least} or more, not {found}")
    return found
