"""How a command fails: one line on stderr, and an exit status.

::

    CommandError          as it says itself
    ├── UsageError        2 usage
    ├── UnreachableError  7 unreachable
    ├── RefusedError      the coordinator's own code; status from `FACES`
    ├── MeshError         7 mesh_not_ready
    ├── MeshRunningError  6 mesh_running
    ├── UndecidedError    2 not_confirmed
    ├── FindingsError     1 findings
    ├── CasesFailedError  1 cases_failed
    ├── ProblemsError     1 problems
    ├── ScenariosFailedError 1 scenarios_failed
    └── RunFailedError    8 run_failed
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from parley_cards.errors import FACES

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN_FAILED: Final = 8
_EXITS: Final = {face.http: face.exit for face in FACES.values()}


class CommandError(Exception):
    """A command cannot do what it was asked for.

    Args:
        message: One sentence: what is wrong, and what to do.
        code: Stable, for scripts.
        exit_status: See `parley_coordinator.cli`.
    """

    def __init__(self, message: str, *, code: str, exit_status: int) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.exit_status = exit_status


class UsageError(CommandError):
    """An option or an argument makes no sense."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="usage", exit_status=2)


class UnreachableError(CommandError):
    """Nobody answers where the coordinator should be, or something else does."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="unreachable", exit_status=7)


class MeshError(CommandError):
    """The processes of the mesh do not come up."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="mesh_not_ready", exit_status=7)


class MeshRunningError(CommandError):
    """Another mesh uses the same home."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="mesh_running", exit_status=6)


class UndecidedError(CommandError):
    """The person looked, and did not confirm."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="not_confirmed", exit_status=2)


class FindingsError(CommandError):
    """What was to be checked was checked, and must not run."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="findings", exit_status=1)


class CasesFailedError(CommandError):
    """Cases of workflows were run, and not all came to what they expect."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="cases_failed", exit_status=1)


class ProblemsError(CommandError):
    """This installation was examined, and something does not work.

    Args:
        count: Of problems.
    """

    def __init__(self, count: int) -> None:
        words = "there is 1 problem" if count == 1 else f"there are {count} problems"
        super().__init__(
            f"{words}; the lines below the table say what to do", code="problems", exit_status=1
        )


class ScenariosFailedError(CommandError):
    """An orchestrator was tortured, and did not do all that is expected."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="scenarios_failed", exit_status=1)


class RunFailedError(CommandError):
    """The run that was waited for ended, but not well."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="run_failed", exit_status=RUN_FAILED)


class RefusedError(CommandError):
    """The coordinator answered with a problem.

    Args:
        findings: What is wrong with the workflow document that was sent, if that is the problem.
    """

    def __init__(
        self, message: str, *, code: str, http_status: int, findings: Sequence[Any] = ()
    ) -> None:
        fallback = 2 if http_status < 500 else 1
        super().__init__(message, code=code, exit_status=_EXITS.get(http_status, fallback))
        self.findings = findings
