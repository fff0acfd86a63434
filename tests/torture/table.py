"""`make torture`: every scenario against Parley, PostgreSQL included; writes the table into the page."""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from parley_torture.adapters import argv_of
from parley_torture.report import Report, markdown, why
from parley_torture.running import torture
from parley_torture.scenarios import SCENARIOS
from parley_torture.verdict import Verdict

from benchmarks.report import put
from tests.postgres import server

PAGE = Path(__file__).parents[2] / "docs/torture.md"


def tell(verdict: Verdict) -> None:
    print(f"{verdict.result:5} {verdict.scenario} ({verdict.seconds:.0f} s)", flush=True)
    if not verdict.good:
        print(f"      {why(verdict)}", flush=True)


def play(folder: Path) -> Report:
    with server() as postgres:
        return asyncio.run(
            torture(
                argv_of("parley"),
                SCENARIOS.values(),
                folder=folder,
                database_url=postgres.url,
                tell=tell,
            )
        )


def main() -> int:
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(
        prefix="parley-torture-", ignore_cleanup_errors=True
    ) as folder:
        report = play(Path(folder))
    put("results", markdown(report, SCENARIOS), file=PAGE)
    print(report.summary())
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
