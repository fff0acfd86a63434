"""`make torture-peers`: the same scenarios for Parley and its peers, side by side in docs/torture.md.

python -m benchmarks.peers.compare [--only PEER ...] [--print]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parley_torture.adapters import argv_of
from parley_torture.report import Report, compared
from parley_torture.running import torture
from parley_torture.scenarios import SCENARIOS

from benchmarks.peers.environments import PEERS
from benchmarks.report import put, where
from tests.postgres import server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley_torture.verdict import Verdict

PAGE: Final = Path(__file__).parents[2] / "docs/torture.md"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", action="append", default=[], choices=[p.folder for p in PEERS])
    options.add_argument("--print", action="store_true", help="leave docs/torture.md alone")
    given = options.parse_args()
    peers = [peer for peer in PEERS if not given.only or peer.folder in given.only]
    for peer in peers:
        peer.install()
    logging.getLogger("uvicorn.error").setLevel(
        logging.CRITICAL
    )  # what the agents break on purpose
    adapters = [("Parley", argv_of("parley")), *((peer.title, peer.adapter) for peer in peers)]
    with server() as postgres:
        reports = [asyncio.run(_tortured(title, argv, postgres.url)) for title, argv in adapters]
    text = f"{compared(reports)}\n{where()}"
    if given.print:
        print(text)
    else:
        put("peers", text, file=PAGE)


async def _tortured(title: str, argv: Sequence[str], database_url: str) -> Report:
    scenarios = list(SCENARIOS.values())
    done = 0

    def tell(verdict: Verdict) -> None:
        nonlocal done
        done += 1
        line = f"{title}: {done} of {len(scenarios)}, {verdict.scenario}: {verdict.result}"
        print(line, file=sys.stderr, flush=True)

    prefix = "parley-torture-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        return await torture(
            argv, scenarios, folder=Path(folder), database_url=database_url, tell=tell
        )


if __name__ == "__main__":
    main()
