"""An adapter as a contestant of `make bench`: pipelines over HTTP, answered once they are done.

    VENV/bin/python benchmarks/peers/pipeline.py NAME --port PORT --agent URL --home DIR

NAME is a folder beside this file; benchmarks/contestants.py has the protocol.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from adapting import Adapter, Given
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

DEADLINE_S = 60


def load(name: str) -> Adapter:
    path = Path(__file__).parent / name / "adapter.py"
    spec = importlib.util.spec_from_file_location(f"adapter_{name}", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"there is no {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    adapter: Adapter = module.ADAPTER()
    return adapter


def app(adapter: Any, agent: str, home: Path) -> Starlette:
    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await adapter.open(Given(state=home, name="a", database_url=None))
        try:
            yield
        finally:
            await adapter.close()

    async def pipeline(request: Request) -> Response:
        wanted = await request.json()
        stages = [
            {
                "steps": [
                    {
                        "name": f"s{number}",
                        "agent": agent,
                        "skill": "echo",
                        "deadline_s": DEADLINE_S,
                    }
                ]
            }
            for number in range(wanted["calls"])
        ]
        await adapter.start(wanted["id"], {"name": "bench", "stages": stages}, wanted["input"])
        end = await adapter.over(wanted["id"])
        return JSONResponse(end, status_code=200 if end["state"] == "completed" else 500)

    async def healthy(_: Request) -> Response:
        return Response("ok")

    routes = [Route("/pipeline", pipeline, methods=["POST"]), Route("/healthz", healthy)]
    return Starlette(routes=routes, lifespan=lifespan)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("name")
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--agent", required=True)
    options.add_argument("--home", type=Path, required=True)
    given = options.parse_args()
    served = app(load(given.name), given.agent, given.home)
    uvicorn.run(served, host="127.0.0.1", port=given.port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
