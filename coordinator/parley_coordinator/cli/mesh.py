"""Which processes a mesh on one machine consists of, and where they listen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import secrets
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parley_coordinator.cli.errors import MeshError, MeshRunningError, UsageError
from parley_coordinator.cli.settings import child_environment, mesh_token
from parley_coordinator.cli.supervisor import Child

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PORT_BASE: Final = 8420
_FREE_PORTS: Final = (10_000, 30_000)
"""Below 32768, where Linux takes the ports of outgoing connections from."""
AGENTS: Final = ("documents", "matching", "posting")
_OFFSETS: Final = {
    "coordinator": 0,
    "registry": 1,
    "erp": 10,
    "documents": 11,
    "matching": 12,
    "posting": 13,
}
_OVER_GRPC: Final = ("coordinator", *AGENTS)
_LOOPBACK: Final = "127.0.0.1"
_TOKEN_FILE: Final = "mesh-token"  # noqa: S105 - a file's name
_LOCK_FILE: Final = "up.lock"
_WORKFLOW: Final = "invoice-exception"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """A registry, an ERP, three agents and a coordinator on loopback."""

    home: Path
    """Databases, tokens and logs."""
    workflows: Path
    """Folder of `NAME/workflow.yaml`, with `NAME/samples` beside it."""
    token: str
    """Shared by the processes."""
    port_base: int = PORT_BASE
    seed: Path | None = None
    """What the ERP starts with; None: the samples of the invoice workflow."""
    pace_s: float = 0.0
    """Least duration of each agent's step; for demonstrations and drills."""
    database_url: str | None = None
    """Of the coordinator; None: a file in the home."""
    grpc_base: int | None = None
    """Like `port_base`, for A2A over gRPC; None: it is not offered."""

    @property
    def policy(self) -> Path:
        """Thresholds of the matching agent."""
        return self.workflows / _WORKFLOW / "policy.yaml"

    def url(self, name: str) -> str:
        return f"http://{_LOOPBACK}:{self.port(name)}"

    def port(self, name: str) -> int:
        return self.port_base + _OFFSETS[name]

    def ports(self) -> dict[str, int]:
        """Return every port, by what it is for."""
        ports = {name: self.port(name) for name in _OFFSETS}
        if self.grpc_base is None:
            return ports
        return ports | {f"gRPC of {name}": self.grpc_base + _OFFSETS[name] for name in _OVER_GRPC}

    def children(self, environ: Mapping[str, str] | None = None) -> list[Child]:
        """Return the processes; the coordinator last, because it needs the others."""
        env = {
            "PARLEY_POLICY": str(self.policy),
            "PARLEY_WEBHOOKS": f"{_LOOPBACK}:{self.port('coordinator')}",
        } | child_environment(environ)
        env |= {
            "PARLEY_HOME": str(self.home),
            "PARLEY_MESH_TOKEN": self.token,
            "PARLEY_WORKFLOWS": str(self.workflows),
            "PYTHONUNBUFFERED": "1",
            # Or `-m` would let a file of the current directory stand in for a module.
            "PYTHONSAFEPATH": "1",
        }

        # A password on a command line is seen by everybody on the machine.
        database = {"PARLEY_DATABASE_URL": self.database_url} if self.database_url else {}

        def own(name: str) -> dict[str, str]:
            port = self.ports().get(f"gRPC of {name}")
            grpc = {} if port is None else {"PARLEY_GRPC_PORT": str(port)}
            return env | grpc | (database if name == "coordinator" else {})

        def child(name: str, module: str, *words: str, after: tuple[str, ...] = ()) -> Child:
            where = ("--port", str(self.port(name)), "--home", str(self.home))
            return Child(
                name=name,
                argv=(sys.executable, "-m", module, *words, *where),
                url=self.url(name),
                env=own(name),
                after=after,
            )

        seed = self.seed or self.workflows / _WORKFLOW / "samples"
        registry = ("--registry", self.url("registry"))
        agent = (*registry, "--erp", self.url("erp"), "--pace", str(self.pace_s))
        return [
            child("registry", "parley_registry", "--host", _LOOPBACK),
            child(
                "erp", "parley_systems", "erp", *(("--seed", str(seed)) if seed.is_dir() else ())
            ),
            *(child(name, "parley_agents", name, *agent, after=("registry",)) for name in AGENTS),
            child(
                "coordinator",
                "parley_coordinator",
                *registry,
                "--workflows",
                str(self.workflows),
                after=AGENTS,
            ),
        ]

    def check_files(self) -> None:
        """Refuse what no process could start with, however often it is tried.

        Raises:
            UsageError: If the folder of workflows or the policy is missing.
            InvalidWorkflowError: With file, line and column.
        """
        from parley_coordinator.workflow.document import (  # noqa: PLC0415 - heavy, and only `up` checks
            load_document,
        )

        documents = sorted(self.workflows.glob("*/workflow.yaml"))
        if not documents:
            raise UsageError(f"there is no NAME/workflow.yaml in {self.workflows}; see --workflows")
        if not self.policy.is_file():
            raise UsageError(f"there is no {self.policy}; the matching agent needs it")
        for path in documents:
            try:
                raw = path.read_bytes()
            except OSError as exc:
                raise UsageError(f"cannot read {path}: {exc.strerror}") from exc
            load_document(raw, source=str(path))

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only mesh of this home; the lock goes with the process, however it ends.

        Raises:
            MeshRunningError: If there is one already.
        """
        with (self.home / _LOCK_FILE).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                raise MeshRunningError(
                    f"a mesh is running in {self.home} already; stop it, or use another --home"
                ) from exc
            yield

    def check_ports(self) -> None:
        """Refuse to start where somebody listens already.

        Raises:
            MeshError: Naming the port and what it is for.
        """
        for name, port in self.ports().items():
            with socket.socket() as probe:
                # As servers do it: a port that was in use a moment ago is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((_LOOPBACK, port))
                except OSError as exc:
                    other = "--port-base" if name in _OFFSETS else "another PARLEY_GRPC_PORT"
                    raise MeshError(
                        f"port {port} for {name} is taken; stop what listens there, or use {other}"
                    ) from exc


def open_mesh(
    home: Path,
    *,
    port_base: int = PORT_BASE,
    workflows: Path | None = None,
    seed: Path | None = None,
    pace_s: float = 0.0,
    database_url: str | None = None,
    grpc: str | None = None,
) -> Mesh:
    """Prepare a mesh in `home`: the directory, readable by its owner only, and the shared token.

    Raises:
        UsageError: If there are no workflows, or the ports would be impossible.
    """
    highest = 65_535 - max(_OFFSETS.values())
    if not 1024 <= port_base <= highest:
        raise UsageError(f"--port-base must be from 1024 to {highest}")
    grpc_base = None if grpc is None else _grpc_base(grpc, port_base, highest)
    found = workflows or find_workflows()
    home = home.absolute()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        token = mesh_token() or _shared_token(home / _TOKEN_FILE)
    except OSError as exc:
        raise UsageError(f"cannot use {home} as home: {exc.strerror}") from exc
    return Mesh(
        home=home,
        workflows=found.absolute(),
        token=token,
        port_base=port_base,
        seed=seed,
        pace_s=pace_s,
        database_url=database_url,
        grpc_base=grpc_base,
    )


def _grpc_base(given: str, port_base: int, highest: int) -> int:
    base = int(given) if given.isascii() and given.isdigit() and len(given) < 6 else 0
    if not 1024 <= base <= highest:
        raise UsageError(f"PARLEY_GRPC_PORT must be from 1024 to {highest}, not {given[:20]!r}")
    over_http = {port_base + offset for offset in _OFFSETS.values()}
    if over_http & {base + _OFFSETS[name] for name in _OVER_GRPC}:
        span = max(_OFFSETS.values()) + 1
        raise UsageError(
            f"PARLEY_GRPC_PORT={base} gives a process a port that another one has;"
            f" take {port_base + span}, or any that is {span} or more from {port_base}"
        )
    return base


def free_mesh(home: Path, *, seed: Path | None = None, pace_s: float = 0.0) -> Mesh:
    """Prepare a mesh on ports that nobody uses now; one that runs beside it is left alone.

    Raises:
        MeshError: If no free ports are found.
    """
    for _ in range(20):
        base = random.randrange(*_FREE_PORTS)  # noqa: S311 - not a secret
        mesh = open_mesh(home, port_base=base, seed=seed, pace_s=pace_s)
        with contextlib.suppress(MeshError):
            mesh.check_ports()
            return mesh
    raise MeshError("no free ports were found; try again")


def find_workflows() -> Path:
    """Return the folder with the workflows: here, beside the source tree, or packaged.

    Raises:
        UsageError: If there is none.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (Path("workflows"), package.parents[1] / "workflows", package / "library"):
        if any(folder.glob("*/workflow.yaml")):
            return folder
    raise UsageError("there is no folder workflows/NAME/workflow.yaml here; name one: --workflows")


def _shared_token(path: Path) -> str:
    """Return the token that processes of this home share; made once, kept for the next start."""
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(f"mt_{secrets.token_urlsafe(32)}\n")
    token = path.read_text().strip()
    if not token:
        raise UsageError(f"{path} is empty; remove it and start again")
    return token
