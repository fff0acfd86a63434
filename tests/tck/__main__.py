"""`python -m tests.tck GIT_DIR`: run the A2A compatibility kit and compare with `expected/SUT.json`.

Exit status: 0 as expected, 1 not so, 2 the kit could not be run.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

from tests.tck.comparing import differences, expectations, table
from tests.tck.kit import KitError, prepare, run
from tests.tck.suts import SUTS

TRANSPORTS = "jsonrpc,http_json,grpc"


def main() -> int:
    asked = _arguments()
    try:
        home, revision = prepare(Path(asked.kit).resolve())
        serving = nullcontext(asked.url) if asked.url else SUTS[asked.sut]()
        log = home / f"{asked.sut}.log"
        with serving as url:
            results = run(home, revision, url, transports=asked.transport, log=log)
    except KitError as exc:
        print(exc, file=sys.stderr)
        return 2
    print(table(results))
    known = expectations(asked.sut)["revision"]
    if revision != known:
        print(f"what is expected was written for revision {known}")
    found = [*differences(results, asked.sut, frozenset(asked.transport.split(",")))]
    for each in found:
        print(each)
    print(f"{len(found)} differences from what is expected; the kit's log is {log}")
    return 1 if found else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.tck", description=__doc__)
    parser.add_argument("kit", help="a checkout or git directory of a2aproject/a2a-tck")
    parser.add_argument(
        "--sut", choices=sorted(SUTS), default="agent", help="what to start, and to expect"
    )
    parser.add_argument("--url", help="start nothing: the SUT runs there already")
    parser.add_argument("--transport", default=TRANSPORTS, help=f"default: {TRANSPORTS}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
