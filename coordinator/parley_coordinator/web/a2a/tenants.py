"""Workflows and agents behind one gRPC address: the tenant says which (A2A 1.0 8.3.2).

`workflows/NAME` is a workflow, `agents/NAME` an agent that is reached through the coordinator.
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from parley_wire.server.forms import invalid

from parley_coordinator.web.a2a.endpoint import WorkflowEndpoint
from parley_coordinator.web.a2a.routes import EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from parley_wire.server.endpoint import Batch, Call, Endpoint
    from parley_wire.tls import Tls

    from parley_coordinator.governance.accounts import Accounts
    from parley_coordinator.web.a2a.pushing import Push
    from parley_coordinator.web.a2a.relay import Relay
    from parley_coordinator.web.ports import Inbox, Runs, Workflows


class Tenants:
    """Everything that the coordinator serves over A2A. An `Endpoint`, for any caller.

    Args:
        only: The tenant of requests that name none; empty: they are refused.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        runs: Runs,
        workflows: Workflows,
        inbox: Inbox,
        push: Push,
        relay: Relay,
        only: str = "",
    ) -> None:
        self._accounts = accounts
        self._runs = runs
        self._workflows = workflows
        self._inbox = inbox
        self._push = push
        self._relay = relay
        self._only = only

    def check(self, authorization: str | None) -> None:
        """Return if somebody known calls; before anything of a request is read.

        Raises:
            UnauthenticatedError: If not.
        """
        self._accounts.principal(authorization)

    async def answer(self, method: str, params: Any, call: Call) -> str:
        endpoint, rest = await self._endpoint(params, call)
        return await endpoint.answer(method, rest, call)

    async def stream(self, method: str, params: Any, call: Call) -> AsyncGenerator[Batch]:
        endpoint, rest = await self._endpoint(params, call)
        async with aclosing(endpoint.stream(method, rest, call)) as batches:
            async for batch in batches:
                yield batch

    async def _endpoint(self, params: Any, call: Call) -> tuple[Endpoint, dict[str, Any]]:
        """Raises: UnauthenticatedError, UnknownWorkflowError, UnknownAgentError, InvalidParamsError."""
        principal = self._accounts.principal(call.headers.get("authorization"))
        tenant = params.get("tenant") or self._only
        rest = {key: value for key, value in params.items() if key != "tenant"}
        kind, _, name = tenant.partition("/")
        if kind == "workflows" and name:
            document = await self._workflows.document(name)
            return WorkflowEndpoint(
                document.name,
                runs=self._runs,
                inbox=self._inbox,
                push=self._push,
                principal=principal,
                scope={},
            ), rest
        if kind == "agents" and name:
            line = await self._relay.lines.to(name)
            return self._relay.endpoint(name, line, principal), rest
        raise invalid("tenant", "must be workflows/NAME or agents/NAME, as the card says")


@asynccontextmanager
async def serving_grpc(endpoint: Tenants, address: str, tls: Tls) -> AsyncGenerator[None]:
    """Serve A2A over gRPC at `HOST:PORT`."""
    # Imported when it is needed: gRPC costs a start 60 ms.
    from parley_wire.server.grpc_binding import A2AServicer, GrpcServer  # noqa: PLC0415

    servicer = A2AServicer(endpoint, tokens=None, extensions=EXTENSIONS, check=endpoint.check)
    server = GrpcServer(servicer, address, tls=tls)
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)
