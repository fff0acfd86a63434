"""The log of a process, on stderr: one form for all loggers, that nobody outside can forge.

A record begins with its time at the start of a line. Whatever agents, callers or cards had a part in
stays inside the record: line breaks and control characters appear as codes, lines of a trace are
marked, lengths are bounded, and passwords in URLs are left out.
"""

from __future__ import annotations

import logging
from typing import Final

from parley_wire.showing import one_line, without_passwords

MARK: Final = "  | "
"""Begins every line of a record after its first."""
MAX_MESSAGE: Final = 4_000
MAX_TRACE_LINE: Final = 1_000
MAX_TRACE_LINES: Final = 200


class RecordFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        head = f"{self.formatTime(record)} {record.levelname} {record.name}: "
        lines = [head + _shown(record.getMessage(), MAX_MESSAGE)]
        if record.exc_info:
            lines += _trace(self.formatException(record.exc_info))
        if record.stack_info:
            lines += _trace(self.formatStack(record.stack_info))
        return "\n".join(lines)


def log_to_stderr(level: int) -> None:
    """Have the root logger write records of `level` and above; call it once, when a process starts."""
    handler = logging.StreamHandler()
    handler.setFormatter(RecordFormatter())
    logging.basicConfig(level=level, handlers=[handler])
    logging.captureWarnings(capture=True)


def _trace(written: str) -> list[str]:
    lines = written.split("\n")
    left = len(lines) - MAX_TRACE_LINES
    if left > 0:  # the end says what happened
        lines = [f"... {left} lines before", *lines[left:]]
    return [MARK + _shown(line, MAX_TRACE_LINE) for line in lines]


def _shown(text: str, most: int) -> str:
    # Cut in half, a password would not be known for one any more.
    return one_line(without_passwords(text[: 4 * most]), most)
