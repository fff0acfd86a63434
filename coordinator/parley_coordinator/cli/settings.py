"""What the command line is told by its environment; the only place of it that reads it.

===================  ==========================  ====================================================
variable             default                     meaning
===================  ==========================  ====================================================
PARLEY_HOME          `.parley`                   directory of the databases and of `tokens.json`
PARLEY_URL           `http://127.0.0.1:8420`     the coordinator that commands talk to
PARLEY_TOKEN         none                        token to send instead of one from `tokens.json`
PARLEY_DATABASE_URL  a file in the home          where `parley up` has the coordinator keep its runs
PARLEY_MESH_TOKEN    made, kept in `mesh-token`  what the processes that `parley up` starts share
PARLEY_GRPC_PORT     none                        gRPC of the coordinator that `parley up` starts; its
                                                 agents have ports above it
PARLEY_TLS           none                        folder with the `ca.crt` that commands trust
===================  ==========================  ====================================================
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley_wire.tls import Tls

DEFAULT_HOME: Final = ".parley"
DEFAULT_URL: Final = "http://127.0.0.1:8420"

_NOT_INHERITED: Final = frozenset(
    {"PARLEY_HOST", "PARLEY_PORT", "PARLEY_PUBLIC_URL", "PARLEY_REGISTRY_URL"}
    | {"PARLEY_URL", "PARLEY_TOKEN", "PARLEY_DATABASE_URL", "PARLEY_GRPC_PORT"}
    | {"PARLEY_TLS"}  # among themselves they talk on loopback, in the clear
)
"""Of one process; a child of `parley up` is told what it needs of these."""


def token(environ: Mapping[str, str] | None = None) -> str | None:
    return _environ(environ).get("PARLEY_TOKEN") or None


def mesh_token(environ: Mapping[str, str] | None = None) -> str | None:
    return _environ(environ).get("PARLEY_MESH_TOKEN") or None


def grpc_port(environ: Mapping[str, str] | None = None) -> str | None:
    return _environ(environ).get("PARLEY_GRPC_PORT") or None


def tls(environ: Mapping[str, str] | None = None) -> Tls:
    """Raises: TlsError."""
    from parley_wire.tls import Tls  # noqa: PLC0415 - see parley_coordinator.cli

    return Tls.of(_environ(environ).get("PARLEY_TLS"))


def child_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a process of the mesh."""
    return {name: value for name, value in _environ(environ).items() if name not in _NOT_INHERITED}


def _environ(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environ is None else environ
