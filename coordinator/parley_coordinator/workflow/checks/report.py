"""What a check knows, what it has found, and how it looks at one expression."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from parley_coordinator.workflow.arguments import Patience
from parley_coordinator.workflow.catalog import FunctionInfo, find
from parley_coordinator.workflow.checks.following import Marks
from parley_coordinator.workflow.checks.programs import (
    MAX_PROGRAMS,
    Compiles,
    Programs,
    TooManyProgramsError,
)
from parley_coordinator.workflow.checks.sites import Site, Sites
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.expressions import (
    ExpressionError,
    body_of,
    compile_check,
    is_expression,
)
from parley_coordinator.workflow.fields import Function
from parley_coordinator.workflow.findings import (
    MAX_CORRECTED,
    MAX_FINDINGS,
    Finding,
    OneOf,
    escape,
)
from parley_coordinator.workflow.schemas import Schema
from parley_coordinator.workflow.tasks import (
    PROTOCOL_TASKS,
    CallTask,
    ListenTask,
    RaiseTask,
    RunTask,
    Task,
    TryTask,
)

RUN: Final = frozenset(("workflow", "runtime"))
"""Variables of an expression outside of tasks; each level below sees more."""
TASK: Final = RUN | {"context", "task"}
BODY: Final = TASK | {"input"}

_SECRETS: Final = re.compile(r"\$secrets(?![A-Za-z0-9_])", re.ASCII)
_SECRET: Final = re.compile(
    r"""\$secrets(?:\.([A-Za-z_][A-Za-z0-9_]*)|\.?\[?"([^"\\]*)"\]?)""", re.ASCII
)
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""One that is not closed goes to the end, so that a text is read once."""
MAX_EXPRESSION: Final = 8192
"""Characters: jq takes the square of it to compile some."""


class EnoughError(Exception):
    """There are more findings than are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the document will meet."""

    functions: Mapping[str, list[FunctionInfo]]
    """Of the catalog `agents`, every known version by name."""
    workflows: Mapping[str, Collection[str]] | None = None
    """Versions by name; None: not known."""
    people: Mapping[str, Collection[str]] | None = None
    """Subjects by role; None: not known."""


class Report:
    """Collects findings about one document."""

    def __init__(
        self, document: Document, world: World, *, compiles: Compiles | None = None
    ) -> None:
        self.document = document
        self.world = world
        self.sites = Sites(document)
        self.found: list[Finding] = []
        self._programs = Programs(compiles)
        self.patience = Patience()
        self._schemas: dict[int, Schema | None] = {}
        self._undone: dict[Site, frozenset[str]] = {}

    def add(
        self, path: str, rule: str, message: str, fix: str | OneOf, *, key: bool = False
    ) -> None:
        """Keep a finding.

        Raises:
            EnoughError: If there are more than anybody reads; this one is the last.
        """
        if isinstance(fix, OneOf):
            fix = fix.said(closest=len(self.found) < MAX_CORRECTED)
        finding = self.document.positions.finding(path, rule, message, fix, key=key)
        self.found.append(finding)
        if len(self.found) > MAX_FINDINGS:
            raise EnoughError

    @cached_property
    def failing(self) -> Marks:
        """The tasks that may fail, so that what was done before them is to be undone."""
        return Marks(site for site in self.sites.all if _may_fail(site.task))

    def undone(self, owner: Site) -> frozenset[str]:
        """Return the names that the handler of a `try` undoes."""
        if owner not in self._undone:
            handler = owner.task.catch.do if isinstance(owner.task, TryTask) else None
            names = frozenset(each.task.compensates for each in handler or ())
            self._undone[owner] = names
        return self._undone[owner]

    def function(self, wanted: Function) -> FunctionInfo | None:
        """Return what a call means, if there is exactly that."""
        return find(self.world.functions, wanted)

    def schema(self, document: dict[str, Any]) -> Schema | None:
        """Compile a schema of the catalog once; None: it is none, which is found where cards are."""
        if id(document) not in self._schemas:
            try:
                self._schemas[id(document)] = Schema(document)
            except ValueError:
                self._schemas[id(document)] = None
        return self._schemas[id(document)]

    def condition(self, path: str, text: str | None, known: Iterable[str]) -> None:
        if text is not None:
            self.expression(path, text, known)

    def template(
        self,
        path: str,
        value: Any,
        known: frozenset[str],
        *,
        bare: bool = False,
        private: Collection[str] = (),
    ) -> None:
        """Check every expression in a value.

        Args:
            bare: The text itself may go without `${ }`.
            private: Paths below which expressions may use secrets.
        """
        if path in private:
            known |= {"secrets"}
        if isinstance(value, str):
            if bare or is_expression(value):
                self.expression(path, value, known)
            elif "${" in value:
                message = "an expression is a whole value, not a part of a text"
                fix = 'write "${ \\"text \\" + .value }"'
                self.add(path, "interpolation", message, fix)
        elif isinstance(value, dict):
            for name, member in value.items():
                self.template(f"{path}/{escape(name)}", member, known, private=private)
        elif isinstance(value, list | tuple):
            for index, element in enumerate(value):
                self.template(f"{path}/{index}", element, known, private=private)

    def expression(self, path: str, text: str, known: Iterable[str]) -> None:
        if len(text) > MAX_EXPRESSION:
            message = f"it has {len(text)} characters, {MAX_EXPRESSION} are allowed"
            self.add(path, "expression", message, "compute it in several tasks")
            return
        names = set(known)
        if self._secret(path, text, allowed="secrets" in names):
            return
        try:
            compile_check(text, names, lambda each: self._programs.problem(each, len(text)))
        except TooManyProgramsError:
            message = (
                f"more than {MAX_PROGRAMS} expressions, or very long ones, are jq of their own"
            )
            self.add(path, "too-many-expressions", message, "use paths, or split the workflow")
        except ExpressionError as exc:
            seen = ", ".join(f"${name}" for name in sorted(names)) or "no variable"
            self.add(path, "expression", str(exc), f"correct it; it sees {seen}")

    def _secret(self, path: str, text: str, *, allowed: bool) -> bool:
        """Report the wrong use of secrets; tell whether there was one."""
        source = body_of(text)
        uses = len(_SECRETS.findall(_STRING.sub('""', source)))
        if not uses:
            return False
        if not allowed:
            message = "a secret is not readable here: what is computed is written down"
            fix = "use it in `authentication`, or in `input.from` of a call of a protocol"
            self.add(path, "secret", message, fix)
            return True
        named = [one or other for one, other in _SECRET.findall(source)]
        if len(named) < uses:
            self.add(path, "secret", "not every secret is named", "write $secrets.NAME")
            return True
        unknown = [name for name in named if self.secret(path, name)]
        return bool(unknown)

    def secret(self, path: str, name: str) -> bool:
        """Report a secret that the document does not declare; tell whether that is so."""
        if name in self.document.use.secrets:
            return False
        message = f"`use.secrets` has no {name[:60]!r}"
        self.add(path, "secret", message, "declare it there, and give its value to the coordinator")
        return True


def _may_fail(task: Task) -> bool:
    if task.compensates:
        return False
    return isinstance(task, (CallTask, ListenTask, RaiseTask, RunTask, *PROTOCOL_TASKS))
