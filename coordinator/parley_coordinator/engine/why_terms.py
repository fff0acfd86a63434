"""What an explanation says of the contract under which a run works. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parley_coordinator.delegation.terms import contract_in
from parley_coordinator.model import Fact

if TYPE_CHECKING:
    from parley_coordinator.model import Entry


def terms(started: Entry) -> list[Fact]:
    """Return the trace of a run, its limits, and on whose behalf it works, as far as there are any."""
    contract = contract_in(started.body, started.run_id)
    told = contract.as_json()
    source = "caller" if "contract" in started.body else "journal"
    limits: dict[str, Any] = {name: told[name] for name in ("deadline", "budget") if name in told}
    facts = [
        Fact(name=name, value=value, source=source)
        for name, value in {"trace": contract.trace_id, **limits}.items()
    ]
    if contract.ancestors:
        chain = [each.name for each in contract.ancestors]
        facts.append(Fact(name="on behalf of", value=chain, source=source))
    return facts
