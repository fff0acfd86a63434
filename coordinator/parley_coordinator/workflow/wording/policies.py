"""Deadlines, durations, errors and retries in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from parley_coordinator.workflow.durations import words as duration_words
from parley_coordinator.workflow.errors import Standard, same_type
from parley_coordinator.workflow.expressions import is_expression
from parley_coordinator.workflow.fields import (
    ErrorFilter,
    ErrorSpec,
    RetryPolicy,
    TimeoutSpec,
)
from parley_coordinator.workflow.tasks import Catch
from parley_coordinator.workflow.wording.conditions import condition, value
from parley_coordinator.workflow.wording.plain import line, listed

_VOWELS: Final = "aeiou"


def span(length: timedelta | str) -> str:
    """Say how long: `5 minutes`, or what a run works it out from."""
    if isinstance(length, timedelta):
        return duration_words(length)
    return f"a time that the run works out ({value(length)})"


def within(timeout: str | TimeoutSpec | None, known: Mapping[str, TimeoutSpec]) -> str:
    """Say a deadline; empty if there is none."""
    spec = known.get(timeout) if isinstance(timeout, str) else timeout
    if spec is None:
        return f"within {line(timeout)}" if isinstance(timeout, str) else ""
    return f"within {span(spec.after)}"


def caught(catch: Catch) -> str:
    """Say what a catch takes: `a communication error, unless error.status is 404`."""
    said = _filtered(catch.errors.with_)
    if catch.when is not None:
        said += f", if {condition(catch.when)}"
    if catch.except_when is not None:
        said += f", unless {condition(catch.except_when)}"
    return said


def error_type(uri: str) -> str:
    """Return the standard name of an error type, `timeout`; other types as they are."""
    for standard in Standard:
        if same_type(uri, str(standard)):
            return standard.rsplit("/", 1)[-1]
    return line(uri, limit=100)


def raised(error: str | ErrorSpec, known: Mapping[str, ErrorSpec]) -> str:
    """Say which error a task ends with."""
    spec = known.get(error) if isinstance(error, str) else error
    if spec is None:
        return line(str(error))
    named = f"{line(error)}: " if isinstance(error, str) else ""
    title = spec.title
    if title is not None:
        title = f", titled {value(title)}" if is_expression(title) else f" “{line(title)}”"
    return f"{named}{error_type(spec.type)} {spec.status}{title or ''}"


def retried(policy: str | RetryPolicy, known: Mapping[str, RetryPolicy]) -> str:
    """Say how something is tried again: `try again up to 4 times, waiting 1 second, doubling`."""
    spec = known.get(policy) if isinstance(policy, str) else policy
    if spec is None:
        return f"try again as {line(str(policy))} says"
    parts = [_attempts(spec), f"waiting {span(spec.delay)}" if spec.delay else "at once"]
    if spec.delay and spec.backoff.exponential is not None:
        parts.append("doubling each time")
    elif spec.delay and spec.backoff.linear is not None:
        parts.append("longer by as much each time")
    if spec.jitter is not None and spec.jitter.to:
        parts.append(f"plus up to {span(spec.jitter.to)} at random")
    if spec.limit.attempt.duration is not None:
        parts.append(f"each attempt within {span(spec.limit.attempt.duration)}")
    if spec.limit.duration is not None:
        parts.append(f"for at most {span(spec.limit.duration)} in all")
    if spec.when is not None:
        parts.append(f"if {condition(spec.when)}")
    if spec.except_when is not None:
        parts.append(f"unless {condition(spec.except_when)}")
    return ", ".join(parts)


def _attempts(spec: RetryPolicy) -> str:
    count = spec.limit.attempt.count
    if count is None:
        return "try again"
    return "try again once" if count == 1 else f"try again up to {count} times"


def _filtered(wanted: ErrorFilter) -> str:
    if wanted.type is None:
        said = "any error"
    else:
        name = error_type(wanted.type)
        if "/" in name or ":" in name:
            said = f"the error {name}"
        else:
            said = f"{_article(name)} {name}{'' if name == 'timeout' else ' error'}"
    others = [
        f"the {member} “{line(text)}”"
        for member, text in (
            ("title", wanted.title),
            ("detail", wanted.detail),
            ("place", wanted.instance),
        )
        if text is not None
    ]
    if wanted.status is not None:
        others.insert(0, f"status {wanted.status}")
    return f"{said} with {listed(others)}" if others else said


def _article(name: str) -> str:
    return "an" if name[:1] in _VOWELS else "a"
