"""What A2A calls the phases of a run.

======================================  =========================
run                                     task
======================================  =========================
running, waiting for agents or time     TASK_STATE_WORKING
waiting for a person (or more)          TASK_STATE_INPUT_REQUIRED
waiting for authorizations only         TASK_STATE_AUTH_REQUIRED
completed                               TASK_STATE_COMPLETED
faulted                                 TASK_STATE_FAILED
cancelled                               TASK_STATE_CANCELED
======================================  =========================
"""

from __future__ import annotations

from typing import Final

from parley_wire.server.texts import State

from parley_coordinator.model import Phase

STATES: Final[dict[Phase, State]] = {
    Phase.WORKING: State.WORKING,
    Phase.ASKING: State.INPUT_REQUIRED,
    Phase.AUTHORIZING: State.AUTH_REQUIRED,
    Phase.COMPLETED: State.COMPLETED,
    Phase.FAULTED: State.FAILED,
    Phase.CANCELLED: State.CANCELED,
}
PHASES: Final[dict[str, Phase]] = {state.value: phase for phase, state in STATES.items()}
"""A state that is missing here is one that no run is ever in."""
