"""What is wrong with a document, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parley_coordinator.errors import InvalidWorkflowError


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


def refuse(source: str, findings: Sequence[Finding]) -> InvalidWorkflowError:
    """Build the error that lists `findings`, of which there is at least one.

    Its message shows the first as `file:line:column`, its facts hold all of them, in the order of
    the text.
    """
    ordered = sorted(findings, key=lambda finding: (finding.line, finding.column, finding.rule))
    first = ordered[0]
    more = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
    return InvalidWorkflowError(
        f"{source}:{first.line}:{first.column}: {first.message}; {first.fix}{more}",
        source=source,
        findings=[finding.as_json() for finding in ordered],
    )
