"""What this coordinator adds to the contracts of what it passes on, and what it demands of them (ADR-0017).

The contract of a run is in the first row of its journal, the contract of a call in its row `intended`:
what is sent again after a crash is the same to the byte. What has been used up is counted from the journal.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from parley_cards.delegation import (
    MAX_DEPTH,
    NO_BUDGET,
    UNLIMITED,
    Ancestor,
    Budget,
    BudgetExhaustedError,
    DelegationContract,
    DelegationError,
    Spent,
    traceparent,
)
from parley_cards.delegation_json import read_delegation, spent_of
from parley_cards.extensions import DELEGATION

from parley_coordinator.delegation.ids import derived
from parley_coordinator.model import Place
from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from parley_cards.card import Card

    from parley_coordinator.model import Entry
    from parley_coordinator.store.log import RunLog
    from parley_coordinator.workflow.effects import Call, Child, Request

ROOT: Final = Place(path="")
SPENT: Final = "spent"
"""A row of what an agent, or another run, reports to have used up: `{spent: {calls?, cost?}}`."""


class Terms:
    """Makes and judges contracts.

    Args:
        public_url: Where the workflows of this coordinator are agents.
        max_depth: How many may be above a call.
    """

    def __init__(self, public_url: str, *, max_depth: int = MAX_DEPTH) -> None:
        self._public_url = public_url.rstrip("/")
        self.max_depth = max_depth

    def admit(self, contract: DelegationContract, workflow: str, now: datetime) -> None:
        """Let a run of a workflow begin that somebody else has passed on.

        Raises:
            DelegationError: If its time has passed, the workflow is above itself, or too many are.
        """
        contract.check_deadline(now)
        here = self._here(workflow)
        contract.check_chain(here.name, [here.url], max_depth=self.max_depth)

    def of_call(self, call: Call, log: RunLog, card: Card, message: str) -> DelegationContract:
        """Return the contract of a call of the agent with this card.

        What undoes something is not held back by a budget.

        Args:
            message: The id of its message, which nobody knows yet.

        Raises:
            WorkflowError: `configuration`: the agent is above the call, or too many are;
                `authorization`: the budget of the run is used up.
        """
        run = of_run(log)
        if call.compensates:
            run = replace(run, budget=NO_BUDGET)
        with refusing(call.place):
            contract = run.narrowed(
                by=self._above(log),
                idempotency_key=derived(message, "effect"),
                span=span_of(log.run_id, call.place),
                deadline=call.deadline,
                spent=_used(run, log),
            )
            urls = [interface.url for interface in card.interfaces]
            contract.check_chain(card.name, urls, max_depth=self.max_depth)
        return contract

    def of_request(self, request: Request, log: RunLog) -> DelegationContract:
        """Return the contract of a message by `call: a2a`.

        Raises:
            WorkflowError: `configuration`: too many are above.
        """
        run = of_run(log)
        deadlines = [each for each in (run.deadline, request.deadline) if each is not None]
        left = run.budget.less(_used(run, log).plus(Spent(calls=1)))
        contract = DelegationContract(
            deadline=min(deadlines, default=None),
            budget=NO_BUDGET if request.compensates else left,
            ancestors=(*run.ancestors, self._above(log)),
            traceparent=traceparent(run.trace_id, span_of(log.run_id, request.place)),
            idempotency_key=key_of(log.run_id, request.place),
        )
        with refusing(request.place):
            contract.check_chain("", (), max_depth=self.max_depth)
        return contract

    def check_budget(self, request: Request, log: RunLog) -> None:
        """Let a message by `call: a2a` leave, if the budget of the run covers one more call.

        Raises:
            WorkflowError: `authorization`.
        """
        budget = of_run(log).budget
        left = budget.less(_used(of_run(log), log)).exhausted
        if left and not request.compensates and is_message(request.protocol, request.arguments):
            with refusing(request.place):
                raise BudgetExhaustedError(f"the budget of this work is used up: {left}")

    def check_agent(self, contract: dict[str, Any], card: Card, place: Place) -> None:
        """Let another agent take a call that the first one has not begun, under the same contract.

        Raises:
            WorkflowError: `configuration`: the agent is above the call.
        """
        urls = [interface.url for interface in card.interfaces]
        with refusing(place):
            read_delegation(contract).check_chain(card.name, urls, max_depth=self.max_depth)

    def of_child(self, child: Child, log: RunLog, own: Budget) -> DelegationContract:
        """Return the contract of a run that a run starts; one that nobody waits for may take longer.

        Args:
            own: What the document of the child sets.
        """
        run = of_run(log)
        deadline = run.deadline
        if child.awaited and child.deadline is not None:
            deadline = child.deadline if deadline is None else min(deadline, child.deadline)
        return DelegationContract(
            deadline=deadline,
            budget=run.budget.less(_used(run, log)).narrowed(own),
            ancestors=(*run.ancestors, self._above(log)),
            traceparent=traceparent(run.trace_id, span_of(log.run_id, child.place)),
        )

    def _above(self, log: RunLog) -> Ancestor:
        started = log.recall(ROOT, "started")
        return self._here("" if started is None else str(started.body["workflow"]), log.run_id)

    def _here(self, workflow: str, run: str = "") -> Ancestor:
        url = f"{self._public_url}/workflows/{workflow}/a2a"
        return Ancestor(name=workflow or "workflow", url=url, run=run)


@contextmanager
def refusing(place: Place) -> Iterator[None]:
    """Turn what a contract does not let pass into the error of a step."""
    try:
        yield
    except DelegationError as exc:
        spent = isinstance(exc, BudgetExhaustedError)
        kind = Standard.AUTHORIZATION if spent else Standard.CONFIGURATION
        raise WorkflowError(kind, exc.message, exc.code, instance=place.path) from exc


def is_message(protocol: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a request has an agent do something."""
    return protocol == "a2a" and str(arguments.get("method")).startswith("message/")


def of_run(log: RunLog) -> DelegationContract:
    """Return the contract under which a run works; its trace is its own where nobody gave one."""
    started = log.recall(ROOT, "started")
    return contract_in({} if started is None else started.body, log.run_id)


def contract_in(body: dict[str, Any], run_id: str) -> DelegationContract:
    """Return the contract in the first row of the journal of a run."""
    contract = read_delegation(body["contract"]) if "contract" in body else UNLIMITED
    if contract.traceparent:
        return contract
    return replace(
        contract, traceparent=traceparent(_hex(f"trace|{run_id}", 32), span_of(run_id, ROOT))
    )


def used(entries: Iterable[Entry]) -> Spent:
    """Count what the rows of a journal have used up: calls of agents, and what these have reported."""
    total = Spent()
    for entry in entries:
        begun = entry.kind.partition(".")[0] == "intended"
        if begun and ("agent" in entry.body or is_message(entry.body["protocol"], entry.body)):
            total = total.plus(Spent(calls=1))
        elif entry.kind == SPENT:
            total = total.plus(spent_of({DELEGATION: entry.body}))
    return total


def reported(spent: Spent, allowed: Budget) -> dict[str, Any]:
    """Return the row `spent` of what somebody reports, at most what was allowed; `{}`: nothing."""
    calls = spent.calls if allowed.calls is None else min(spent.calls, allowed.calls)
    cost = spent.cost if allowed.cost is None else min(spent.cost, allowed.cost)
    told = Spent(calls=calls, cost=cost, unit=spent.unit).as_json()
    return {"spent": told} if told else {}


def note_spent(log: RunLog, place: Place, metadata: Iterable[Mapping[str, Any]]) -> None:
    """Write down what an agent reports in one of these; durable with whatever is observed next."""
    intended = log.recall(place, "intended")
    told = next((spent for each in metadata if (spent := spent_of(each)) != Spent()), Spent())
    if intended is None or told == Spent():
        return
    row = reported(told, read_delegation(intended.body.get("contract", {})).budget)
    if row:
        log.append_soon(place, SPENT, row)


def span_of(run_id: str, place: Place) -> str:
    """The span of a place in the trace of its run, the same for ever."""
    return _hex(f"span|{run_id}|{place.path}|{place.attempt}", 16)


def key_of(run_id: str, place: Place) -> str:
    """The key under which the effects of a place happen once, whoever is sent what."""
    return _hex(f"effect|{run_id}|{place.path}|{place.attempt}", 40)


def _used(contract: DelegationContract, log: RunLog) -> Spent:
    if contract.budget == NO_BUDGET:
        return Spent()
    found = [*log.below("", "intended"), *log.below("", SPENT)]
    number = 2
    while again := log.below("", f"intended.{number}"):
        found += again
        number += 1
    return used(found)


def _hex(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
