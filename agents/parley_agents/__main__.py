"""`python -m parley_agents NAME`: serve one of the agents that ship with the mesh."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from parley_cards.errors import ParleyError
from parley_wire.logs import log_to_stderr
from parley_wire.serving import serve
from parley_wire.showing import plain

from parley_agents import documents, matching, posting
from parley_agents.contracts import contracts_of
from parley_agents.erp import Erp
from parley_agents.runtime import Agent, create_app
from parley_agents.settings import Given, Settings, load_settings

AGENTS: Final[dict[str, Callable[[Settings], Agent]]] = {
    "documents": lambda told: documents.create_agent(_erp(told)),
    "matching": lambda told: matching.create_agent(told.policy),
    "posting": lambda told: posting.create_agent(_erp(told)),
}
PORTS: Final = {"documents": 8431, "matching": 8432, "posting": 8433}


def main() -> int:
    """Serve until stopped; 2 if the settings, the policy or the card are refused."""
    name, given, only_contracts = _arguments()
    log_to_stderr(logging.WARNING)
    try:
        settings = load_settings(given)
        agent = AGENTS[name](settings)
        if only_contracts:
            print(json.dumps(contracts_of(agent.forms), indent=2))
            return 0
        app = create_app(
            agent,
            url=settings.url,
            home=settings.home,
            registry_url=settings.registry_url,
            token=settings.token,
            pace_s=settings.pace_s,
            doors=settings.doors,
        )
    except ParleyError as exc:
        sys.stderr.write(f"{name}: {exc.code}: {plain(exc.message)}\n")
        return exc.face.exit
    except OSError as exc:
        sys.stderr.write(f"{name}: {exc}\n")
        return 2
    serve(app, host=settings.host, port=settings.port, name=name, tls=settings.tls)
    return 0


def _erp(told: Settings) -> Erp:
    return Erp(told.erp_url, token=told.token, tls=told.tls)


def _arguments() -> tuple[str, Given, bool]:
    parser = argparse.ArgumentParser(
        prog="python -m parley_agents", description="Serve an agent over A2A."
    )
    parser.add_argument("name", choices=sorted(AGENTS))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, help="default: 8431 documents, 8432 matching, ...")
    parser.add_argument("--home", type=Path, help="directory of NAME.db; PARLEY_HOME, .parley")
    parser.add_argument("--url", help="address for others; PARLEY_PUBLIC_URL, http://HOST:PORT")
    parser.add_argument("--registry", help="registry to join, or `none`; PARLEY_REGISTRY_URL")
    parser.add_argument("--erp", help="address of the ERP, without /mcp; PARLEY_ERP_URL")
    parser.add_argument("--policy", type=Path, help="file of the matching agent; PARLEY_POLICY")
    parser.add_argument(
        "--pace",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="least duration of each skill call, for demonstrations and drills; default 0",
    )
    parser.add_argument(
        "--contracts",
        action="store_true",
        help="print the schemas of the skills, as the card must have them, and end",
    )
    found = parser.parse_args()
    given = Given(
        host=found.host,
        port=PORTS[found.name] if found.port is None else found.port,
        home=found.home,
        url=found.url,
        registry=found.registry,
        erp=found.erp,
        policy=found.policy,
        pace_s=found.pace,
    )
    return found.name, given, found.contracts


if __name__ == "__main__":
    sys.exit(main())
