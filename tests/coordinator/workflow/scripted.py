"""Documents and scripts for tests of the language, over the engine in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from parley_coordinator.workflow.document import Document, load_document
from parley_coordinator.workflow.effects import Call
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.rehearsal import (
    STARTED,
    Asked,
    Journal,
    Key,
    Never,
    RehearsedEffects,
    names,
    never_parks,
    rehearse,
)

__all__ = [
    "STARTED",
    "Asked",
    "Journal",
    "Key",
    "MemoryEffects",
    "Never",
    "Parks",
    "Script",
    "answering",
    "failing",
    "fault",
    "load",
    "names",
    "never_parks",
    "run",
]

Parks = Callable[[Key], bool]
Script = Callable[[Any], Any]
"""Plays whoever is asked; one that answers calls only takes a `Call`."""


async def run(document: Document, *, script: Script = names, **more: Any) -> Any:
    return await rehearse(document, script=script, **more)


class MemoryEffects(RehearsedEffects):
    def __init__(
        self, journal: Journal, script: Script = names, parks: Parks = never_parks
    ) -> None:
        super().__init__(journal, script, secrets={}, parks=parks)


def load(text: str, *, name: str = "example") -> Document:
    """Load a document of which `text` is all but the head."""
    head = f'document: {{dsl: "1.0.3", namespace: test, name: {name}, version: "1.0.0"}}\n'
    return load_document(head + text, source="example.yaml")


def failing(type_: str = Standard.COMMUNICATION, *, times: int, then: Script = names) -> Script:
    """The script that fails so many calls, and goes on with another one."""
    left = [times]

    def script(asked: Asked) -> Any:
        if left[0] > 0:
            left[0] -= 1
            raise WorkflowError(type_, "It did not work")
        return then(asked)

    return script


def answering(answers: Mapping[str, Any]) -> Script:
    """The script that looks answers up by function; errors are raised."""

    def script(asked: Asked) -> Any:
        assert isinstance(asked, Call)
        answer = answers[asked.function]
        if isinstance(answer, Exception):
            raise answer
        return answer(asked) if callable(answer) else answer

    return script


async def fault(text: str, **more: Any) -> WorkflowError:
    """Run a document that must fault; return its error."""
    with pytest.raises(WorkflowError) as caught:
        await run(load(text), **more)
    return caught.value
