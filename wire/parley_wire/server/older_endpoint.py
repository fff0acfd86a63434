"""An endpoint that speaks 0.3, in front of one that speaks 1.0."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parley_wire.server.endpoint import Batch, Call, Endpoint
from parley_wire.server.older import (
    OPERATIONS,
    STREAMS,
    as_json,
    newer_params,
    older_event,
    older_result,
)
from parley_wire.server.older_rest import (
    older_body,
    older_operation,
    older_params,
    older_rest_event,
)
from parley_wire.server.texts import dumps

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Form:
    """How a binding of 0.3 writes."""

    result: Callable[[str, str], Any]
    """Of a method, from the text of a result of 1.0."""
    event: Callable[[BaseModel], Any]


JSONRPC: Final = Form(older_result, as_json)
REST: Final = Form(older_body, older_rest_event)


class OlderEndpoint:
    """An `Endpoint` whose methods, parameters and texts are those of 0.3."""

    methods: Final = frozenset(OPERATIONS)
    streams: Final = STREAMS

    def __init__(self, endpoint: Endpoint, form: Form) -> None:
        self._endpoint = endpoint
        self._form = form

    async def answer(self, method: str, params: Any, call: Call) -> str:
        newer = newer_params(method, params)
        text = await self._endpoint.answer(OPERATIONS[method].name, newer, call)
        return dumps(self._form.result(method, text))

    async def stream(self, method: str, params: Any, call: Call) -> AsyncGenerator[Batch]:
        newer = newer_params(method, params)
        async with aclosing(self._endpoint.stream(OPERATIONS[method].name, newer, call)) as batches:
            async for batch in batches:
                final = len(batch.texts) - 1 if batch.last else -1
                texts = [
                    dumps(self._form.event(older_event(text, last=place == final)))
                    for place, text in enumerate(batch.texts)
                ]
                yield Batch(texts, last=batch.last)


class OlderRest(OlderEndpoint):
    """That of HTTP+JSON, with what is in its paths."""

    operation = staticmethod(older_operation)
    params = staticmethod(older_params)

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint, REST)
