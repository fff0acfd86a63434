"""Which protocol a request is for; everything that requests of all runs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parley_coordinator.protocols import a2a, http, openapi
from parley_coordinator.protocols.credentials import Credentials
from parley_coordinator.protocols.open_tasks import OpenTasks
from parley_coordinator.protocols.outcome import identity
from parley_coordinator.protocols.outlet import Outlet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, timedelta

    import httpx

    from parley_coordinator.protocols.egress import Egress
    from parley_coordinator.protocols.guard import Guards
    from parley_coordinator.protocols.outcome import Prepared
    from parley_coordinator.workflow.effects import Request


class Performer:
    """Prepares requests of runs.

    Args:
        http: From `open_http(addresses=egress.addresses)`, for this alone; closed by its owner.
        patience: How long a task of an agent is followed in memory before the run parks.
        guards: Keep account of the agents that are called.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        egress: Egress,
        *,
        now: Callable[[], datetime],
        patience: timedelta,
        guards: Guards,
    ) -> None:
        self._guards = guards
        self._patience = patience
        self._credentials = Credentials(http, egress, now=now)
        self._outlet = Outlet(http, egress, self._credentials)
        self._documents = openapi.OpenApiDocuments(self._outlet, now=now)
        self._cards = a2a.Cards(self._outlet, now=now)
        self.open_tasks: Final = OpenTasks()

    async def prepare(self, request: Request, run_id: str) -> Prepared:
        """Check a request and make it complete; descriptions of what is called may be fetched.

        Raises:
            WorkflowError: It cannot be sent, or what describes it is not to be had.
        """
        key = identity(run_id, request.place)
        match request.protocol:
            case "http":
                return http.prepare(request, self._outlet, key)
            case "openapi":
                return await openapi.prepare(request, self._outlet, self._documents, key)
            case "mcp":
                # A third of what the coordinator imports, and not every mesh calls MCP.
                from parley_coordinator.protocols import mcp  # noqa: PLC0415

                return mcp.prepare(request, self._outlet, key)
            case "a2a":
                return await a2a.prepare(
                    request, self._outlet, self._cards, self._guards, run_id, self._patience
                )

    def confidential(self) -> Iterator[str]:
        """Yield the access tokens that are in use."""
        return self._credentials.values()
