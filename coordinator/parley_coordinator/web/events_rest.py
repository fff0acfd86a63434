"""REST: `/v1/events` and `/v1/schedules`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from parley_coordinator.web import requests as q
from parley_coordinator.web import resources as r
from parley_coordinator.web.authentication import principal_of
from parley_coordinator.web.cloudevents import read_events
from parley_coordinator.web.rest import answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from parley_coordinator.governance.access import Principal


class Taken(Protocol):
    @property
    def accepted(self) -> int: ...
    @property
    def duplicates(self) -> int: ...


class Logged(Protocol):
    @property
    def seq(self) -> int: ...
    @property
    def event(self) -> dict[str, Any]: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def received_from(self) -> str: ...


class Events(Protocol):
    """The event log; `parley_coordinator.engine.events` implements it."""

    async def publish(self, principal: Principal, batch: Sequence[Any]) -> Taken: ...

    async def list(
        self, principal: Principal, *, after: int, limit: int, type_: str | None
    ) -> Sequence[Logged]: ...


class Scheduled(Protocol):
    @property
    def workflow(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def json(self) -> dict[str, Any]: ...
    @property
    def since(self) -> datetime: ...
    @property
    def due(self) -> datetime | None: ...
    @property
    def last_at(self) -> datetime | None: ...
    @property
    def last_run(self) -> str | None: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def problem_at(self) -> datetime | None: ...


class Schedules(Protocol):
    """What starts by itself; `parley_coordinator.engine.scheduling` implements it."""

    async def list(self, principal: Principal) -> Sequence[Scheduled]: ...


class EventRest:
    """The endpoints."""

    def __init__(self, events: Events, schedules: Schedules) -> None:
        self._events = events
        self._schedules = schedules

    async def publish(self, request: Request) -> Response:
        batch = read_events(request.scope["headers"], await request.body())
        taken = await self._events.publish(principal_of(request), batch)
        return answer(r.TakenResource.model_validate(taken), status=202)

    async def list_events(self, request: Request) -> Response:
        query = q.read_query(q.EventQuery, request.query_params.multi_items())
        logged = await self._events.list(
            principal_of(request), after=query.after, limit=query.limit, type_=query.type
        )
        return answer(r.EventList.of(logged, after=query.after))

    async def list_schedules(self, request: Request) -> Response:
        found = await self._schedules.list(principal_of(request))
        return answer(r.ScheduleList.of(found))
