"""What is wrong with a document, where, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from parley_coordinator.errors import InvalidWorkflowError

MAX_FINDINGS: Final = 200
"""Of one document; one more says that there are others."""
MAX_CORRECTED: Final = 20
"""Of the findings of one document, so many are told which name is closest to what they have."""
_NAMED: Final = 12
_COMPARED: Final = 200
_COMPARED_TEXT: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One reason why a document must not run."""

    line: int
    """1-based; 0 if the document did not come from text."""
    column: int
    path: str
    """JSON pointer; empty for the document as a whole."""
    rule: str
    """Stable name of the rule, `unknown-key`; docs/workflow-language.md lists them."""
    message: str
    fix: str

    def as_json(self) -> dict[str, Any]:
        return {
            "line": self.line,
            "column": self.column,
            "path": self.path,
            "rule": self.rule,
            "message": self.message,
            "fix": self.fix,
        }


@dataclass(frozen=True, slots=True)
class Positions:
    """Where the values of a document stand in its text, by JSON pointer."""

    keys: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    values: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def of(self, path: str, *, key: bool = False) -> tuple[int, int]:
        """Return line and column of a value, or of its key; of the nearest parent if unknown."""
        table = self.keys if key else self.values
        while path and path not in table:
            path, table = path.rpartition("/")[0], self.values
        return table.get(path, (0, 0))

    def finding(
        self, path: str, rule: str, message: str, fix: str, *, key: bool = False
    ) -> Finding:
        line, column = self.of(path, key=key)
        return Finding(line=line, column=column, path=path, rule=rule, message=message, fix=fix)


def escape(step: str | int) -> str:
    """Return one step of a JSON pointer (RFC 6901)."""
    return str(step).replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True, slots=True)
class OneOf:
    """The advice to write another name, worked out when it is shown."""

    wanted: str
    """What is written instead."""
    known: Collection[str]
    otherwise: str = ""
    """What goes before it, if there is other advice."""

    def said(self, *, closest: bool) -> str:
        """Name some of those that are known.

        Args:
            closest: First those that look most like what is wanted.
        """
        first: list[str] = []
        wanted = self.wanted[:_COMPARED_TEXT]
        if closest and len(self.known) <= _COMPARED:
            candidates = [name for name in self.known if len(name) <= _COMPARED_TEXT]
            first = difflib.get_close_matches(wanted, candidates)
        some = list(islice(dict.fromkeys((*first, *islice(self.known, _NAMED))), _NAMED))
        more = len(self.known) - len(some)
        names = ", ".join(some) or "none"
        return f"{self.otherwise}use one of: {names}" + (f" and {more} more" if more else "")


def with_rest(findings: Sequence[Finding]) -> list[Finding]:
    """Return the first `MAX_FINDINGS`; if there are others, one more says so."""
    shown = list(findings[:MAX_FINDINGS])
    if len(findings) > MAX_FINDINGS:
        next_ = findings[MAX_FINDINGS]
        message = f"there are more findings than these {MAX_FINDINGS}"
        rest = Finding(
            line=next_.line,
            column=next_.column,
            path=next_.path,
            rule="too-many-findings",
            message=message,
            fix="correct the others first",
        )
        shown.append(rest)
    return shown


def refuse(source: str, findings: Sequence[Finding]) -> InvalidWorkflowError:
    """Build the error that lists `findings`, of which there is at least one.

    Its message shows the first as `file:line:column`, its facts hold `MAX_FINDINGS` of them, in the
    order of the text.
    """
    ordered = sorted(findings, key=lambda finding: (finding.line, finding.column, finding.rule))
    first = ordered[0]
    more = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
    return InvalidWorkflowError(
        f"{source}:{first.line}:{first.column}: {first.message}; {first.fix}{more}",
        source=source,
        findings=[finding.as_json() for finding in with_rest(ordered)],
    )
