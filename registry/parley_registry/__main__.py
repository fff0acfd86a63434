"""`python -m parley_registry`: serve the registry."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from parley_cards.errors import ParleyError
from parley_wire.logs import log_to_stderr
from parley_wire.serving import serve
from parley_wire.showing import plain

from parley_registry.app import create_app
from parley_registry.settings import load_settings
from parley_registry.signatures import Signatures


def main() -> int:
    """Serve until stopped; 2 if the settings or the database are refused."""
    parser = argparse.ArgumentParser(prog="parley_registry", description="Serve the registry.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8421, help="0 takes a free one")
    parser.add_argument("--home", type=Path, help="directory of registry.db; PARLEY_HOME, .parley")
    given = parser.parse_args()
    log_to_stderr(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = load_settings(host=given.host, port=given.port, home=given.home)
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        app = create_app(
            settings.database_url,
            token=settings.token,
            timing=settings.timing,
            signatures=Signatures(settings.mode, settings.keys),
            tls=settings.tls,
        )
    except (ParleyError, OSError) as exc:
        sys.stderr.write(f"parley_registry: {plain(str(exc))}\n")
        return 2
    serve(app, host=settings.host, port=settings.port, name="registry", tls=settings.tls)
    return 0


if __name__ == "__main__":
    sys.exit(main())
