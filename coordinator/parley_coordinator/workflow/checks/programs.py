"""The expressions of one document that only jq understands: each costs milliseconds to compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from parley_coordinator.workflow.expressions import local_problem

MAX_PROGRAMS: Final = 2000
MAX_TEXT: Final = 200_000
"""Characters of all the expressions."""

Compiles = Callable[[str], str | None]
"""Compiles a jq program somewhere, and says what is wrong with it."""


class TooManyProgramsError(Exception):
    """Raised once: what comes after it is not compiled, and not held against the document."""


class Programs:
    """Compiles each program once.

    Args:
        compiles: None: in this process.
    """

    def __init__(self, compiles: Compiles | None) -> None:
        self._compiles = compiles or local_problem
        self._known: dict[str, str | None] = {}
        self._text = 0
        self._full = False

    def problem(self, program: str, length: int) -> str | None:
        """Return why a program does not compile, in one line.

        Args:
            length: Of the expression in it.

        Raises:
            TooManyProgramsError
        """
        if program in self._known:
            return self._known[program]
        if self._full:
            return None
        self._text += length
        if len(self._known) >= MAX_PROGRAMS or self._text > MAX_TEXT:
            self._full = True
            raise TooManyProgramsError
        found = self._known[program] = self._compiles(program)
        return found
