"""What one program may take, and what it is called when no program can run at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from parley_cards.errors import Kind

from parley_coordinator.errors import CoordinatorError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one program may take."""

    cpu_s: float = 1.0
    wall_s: float = 20.0
    """The backstop on a machine that is too busy to give it its CPU time."""
    memory_bytes: int = 256 << 20
    """Address space of the worker, itself included."""
    input_bytes: int = 16 << 20
    output_bytes: int = 4 << 20


class SandboxUnavailableError(CoordinatorError):
    """No worker can be started on this machine, or the pool is closed; nothing has run."""

    code: ClassVar[str] = "sandbox_unavailable"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE
