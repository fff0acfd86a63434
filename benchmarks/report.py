"""Pages of results: whatever measures replaces its own part of benchmarks/README.md, or of another page."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parent / "README.md"


def put(part: str, text: str, *, file: Path = PAGE) -> None:
    """Replace what stands between the marks of a part, and print it."""
    page = file.read_text()
    begin, end = f"<!-- {part} -->\n", f"<!-- /{part} -->"
    found = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not found.search(page):
        raise SystemExit(f"{file} has no part {part}")
    file.write_text(found.sub(lambda _: f"{begin}{text.strip()}\n{end}", page))
    print(text)


def where() -> str:
    """Say when and on what was measured."""
    on = f"{os.cpu_count()} cores, {_cpu_name()}, Python {platform.python_version()}"
    return f"Measured on {datetime.now(UTC):%Y-%m-%d}: {on}."


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
