"""What a webhook is told of a run, one notification after the other. Pure.

It is what a stream would show. States that passed between two looks are left out here as there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parley_cards.canonical import digest
from parley_wire.server.texts import SEQUENCE, State, dumps

from parley_coordinator.store.run_webhooks import Notice
from parley_coordinator.web.a2a import tasks
from parley_coordinator.web.a2a.tasks import View

if TYPE_CHECKING:
    from typing import Any

    from parley_coordinator.model import Thread

_OUTPUT: Final = "output"
"""The webhook has the output, and is still to be told that the task has completed."""


def next_notice(thread: Thread, told: str) -> Notice | None:
    """Return what comes after what has been told; None: that is how it stands.

    Args:
        told: Of the last notice; empty: nothing.
    """
    view = View(thread)
    stands = digest([view.state, tasks.status_message(view)])
    if told == stands:
        return None
    if view.state is State.COMPLETED and told != _OUTPUT:
        return _notice(tasks.output_update(view), _OUTPUT)
    return _notice(tasks.status_update(view), stands)


def _notice(event: dict[str, Any], told: str) -> Notice:
    seq = next(iter(event.values()))["metadata"][SEQUENCE]
    return Notice(dumps(event), seq, told)
