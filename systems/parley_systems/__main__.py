"""`python -m parley_systems erp`: one system of record as a process of its own."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from parley_cards.errors import ParleyError
from parley_wire.logs import log_to_stderr
from parley_wire.serving import serve
from parley_wire.showing import plain

from parley_systems.erp.app import create_erp_app, database_url
from parley_systems.erp.seed import load_seed
from parley_systems.settings import Settings


def main() -> int:
    settings = Settings.from_environment()
    arguments = _arguments(settings)
    log_to_stderr(logging.WARNING)
    try:
        tls = settings.tls()
        app = create_erp_app(
            database_url(arguments.home),
            host=arguments.host,
            tokens=settings.tokens(host=arguments.host),
            seed=None if arguments.seed is None else load_seed(arguments.seed),
        )
    except ParleyError as exc:
        sys.stderr.write(f"erp: {exc.code}: {plain(exc.message)}\n")
        return exc.face.exit
    serve(app, host=arguments.host, port=arguments.port, name="erp", tls=tls)
    return 0


def _arguments(settings: Settings) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m parley_systems", description=__doc__)
    systems = parser.add_subparsers(dest="system", required=True)
    erp = systems.add_parser("erp", help="suppliers, orders, receipts and invoices behind MCP")
    erp.add_argument("--host", default="127.0.0.1")
    erp.add_argument("--port", type=int, default=8430)
    erp.add_argument("--home", type=Path, default=settings.home, help="directory of erp.db")
    erp.add_argument("--seed", type=Path, help="folder of master data to load")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
