"""Whether the events that came are those that were waited for. Pure but for the expressions."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from parley_coordinator.workflow.errors import WorkflowError
from parley_coordinator.workflow.events import EventFilter, Strategy, matches
from parley_coordinator.workflow.expressions import is_expression

if TYPE_CHECKING:
    from parley_coordinator.workflow.expressions import Expressions


def key_of(event: Mapping[str, Any]) -> str:
    """Return what makes an event one of its kind (CloudEvents 1.0.2, `source` + `id`)."""
    return f"{event.get('source', '')} {event.get('id', '')}"


def wanted_of(strategy: Strategy) -> list[dict[str, Any]]:
    """Return the filters of a strategy without their expressions; empty: every event."""
    filters = [_literals(each) for each in _filters(strategy)]
    return [] if _takes_all(strategy) or not all(filters) else filters


def _takes_all(strategy: Strategy) -> bool:
    """Whether the strategy, or what ends it, takes every event."""
    until = strategy.until
    return strategy.filters == () or (isinstance(until, Strategy) and _takes_all(until))


async def expected_of(
    strategy: Strategy, data: Any, expressions: Expressions, scope: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return, for each filter of a strategy, the values that correlations expect, by `from`.

    What cannot be computed is left out: the listen fails with it when an event comes.
    """
    found: list[dict[str, Any]] = []
    for each in _filters(strategy):
        values: dict[str, Any] = {}
        for correlation in each.correlate.values():
            if correlation.expect is None:
                continue
            with contextlib.suppress(WorkflowError):
                expect = correlation.expect
                values[correlation.from_] = await expressions.evaluate(expect, data, scope)
        found.append(values)
    return found


class Hearing:
    """What a strategy waits for, and how far it is.

    Args:
        data: The input of `expect`.
        scope: The variables of filters and correlations.
    """

    def __init__(
        self,
        strategy: Strategy,
        data: Any,
        expressions: Expressions,
        scope: Mapping[str, Any],
    ) -> None:
        self._strategy = strategy
        self._data = data
        self._expressions = expressions
        self._scope = scope
        self._open = list(strategy.filters)
        self._bound: dict[str, Any] = {}
        self._until: Hearing | None = None
        if isinstance(strategy.until, Strategy):
            self._until = Hearing(strategy.until, data, expressions, scope)
        self.done = False
        self.used: list[str] = []
        """The keys of the events that counted, those of `until` among them."""

    async def hears(self, event: Mapping[str, Any]) -> bool:
        """Take an event; False if it is none that is waited for.

        Raises:
            WorkflowError: `expression`, if one fails.
        """
        if self._until is not None and await self._until.hears(event):
            await self._until.settle([], {})
            self.done = self._until.done
            self.used.append(key_of(event))
            return False
        if self._strategy.any is not None and not self._strategy.any:
            self.used.append(key_of(event))
            return True
        for each in self._open:
            if await self._fits(each, event):
                if self._strategy.all is not None:
                    self._open.remove(each)
                self.used.append(key_of(event))
                return True
        return False

    async def settle(self, outputs: list[Any], scope: Mapping[str, Any]) -> None:
        """Find out whether that was enough.

        Args:
            outputs: What `until` sees: of each event that was heard.
            scope: The variables of `until`.
        """
        strategy = self._strategy
        if strategy.all is not None:
            self.done = not self._open
        elif strategy.any is None or strategy.until is None:
            self.done = True
        elif isinstance(strategy.until, str):
            self.done = await self._expressions.truthy(strategy.until, outputs, scope)

    async def _fits(self, wanted: EventFilter, event: Mapping[str, Any]) -> bool:
        expressions, scope = self._expressions, self._scope
        if not await matches(wanted.with_, event, expressions, scope):
            return False
        found: dict[str, Any] = {}
        for name, correlation in wanted.correlate.items():
            value = await expressions.run(correlation.from_, event, scope)
            if correlation.expect is not None:
                expected = await expressions.evaluate(correlation.expect, self._data, scope)
            else:
                expected = self._bound.get(name, value)
            if value is None or value != expected:
                return False
            found[name] = value
        self._bound.update(found)
        return True


def _filters(strategy: Strategy) -> list[EventFilter]:
    until = strategy.until
    more = _filters(until) if isinstance(until, Strategy) else []
    return [*strategy.filters, *more]


def _literals(wanted: EventFilter) -> dict[str, Any]:
    return {
        name: value
        for name, value in wanted.with_.items()
        if not (isinstance(value, str) and is_expression(value))
    }
