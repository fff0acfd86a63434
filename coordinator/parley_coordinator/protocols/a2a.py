"""`call: a2a`: one operation of an agent, which need not be in the registry.

Messages are the hard part: an agent runs what it is sent, and may be asked about it afterwards. The
message id is the same whenever the same place of a run sends it; what an agent has begun is looked up
before anything is sent again (see `a2a_sending`). All other operations are one request.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from parley_cards.card import Card, Interface, InvalidCardError
from parley_cards.delegation import MAX_ANCESTORS, DelegationError
from parley_cards.errors import ParleyError
from parley_cards.extensions import DELEGATION
from parley_wire.agent_errors import AgentAuthError, AgentError
from parley_wire.cards import FetchedCard, fetch_if_changed
from parley_wire.client import AgentClient
from parley_wire.errors import UnsupportedAgentError

from parley_coordinator.protocols.a2a_answers import collected, meaning, refused
from parley_coordinator.protocols.a2a_messages import opening, push_parameters
from parley_coordinator.protocols.a2a_sending import Sending
from parley_coordinator.protocols.content import shown_uri
from parley_coordinator.protocols.outcome import (
    Prepared,
    identity,
    misconfigured,
    told,
    unfit,
    unreachable,
    unusable,
)
from parley_coordinator.protocols.outlet import address, host_of
from parley_coordinator.workflow.calls import A2A_METHODS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import httpx
    from parley_cards.delegation import DelegationContract

    from parley_coordinator.protocols.guard import Caller, Guards
    from parley_coordinator.protocols.outcome import Trail
    from parley_coordinator.protocols.outlet import Outlet
    from parley_coordinator.workflow.effects import Request

FRESH_FOR: Final = timedelta(seconds=60)
"""So long a card is used without asking, if its server does not say how long."""
FRESH_FOR_AT_MOST: Final = timedelta(minutes=10)
MAX_CARDS: Final = 256
_ONCE: Final = frozenset(("message/send", "message/stream", "tasks/pushNotificationConfig/set"))
"""What must not be sent twice without a reason; the others only look, or end what is ended."""


class Cards:
    """Cards by their address and what they were fetched with; asked for again when they are old."""

    def __init__(self, outlet: Outlet, *, now: Callable[[], datetime]) -> None:
        self._outlet = outlet
        self._now = now
        self._kept: dict[str, tuple[FetchedCard, datetime]] = {}

    async def get(self, url: httpx.URL, authentication: dict[str, Any] | None) -> Card:
        """Return the card at `url`.

        Raises:
            WorkflowError: `communication`, if it cannot be had; `runtime` 502, if it is none.
        """
        named = json.dumps([str(url), authentication], sort_keys=True, default=str)
        key = hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()
        known, until = self._kept.pop(key, (None, self._now()))
        if known is not None and until > self._now():
            self._kept[key] = (known, until)
            return known.card
        who = host_of(url)
        client = self._outlet.client(authentication=authentication, origin=url)
        try:
            found = await fetch_if_changed(client, str(url), known)
        except InvalidCardError as exc:
            raise unusable(who, exc.message) from exc
        except AgentAuthError as exc:
            raise refused(who, exc) from exc
        except ParleyError as exc:
            raise unreachable(who, f"its card: {exc.message}") from exc
        while len(self._kept) >= MAX_CARDS:
            self._kept.pop(next(iter(self._kept)))
        said = FRESH_FOR if found.fresh_s is None else timedelta(seconds=found.fresh_s)
        self._kept[key] = (found, self._now() + min(said, FRESH_FOR_AT_MOST))
        return found.card


@dataclass(kw_only=True)
class Operation:
    """Implements `outcome.Prepared` for everything but messages."""

    client: Caller
    method: str
    params: dict[str, Any]
    streams: bool
    who: str
    facts: dict[str, Any]
    idempotent: bool
    traceable: bool = False

    async def send(self, trail: Trail) -> Any:  # noqa: ARG002 - nothing to look up
        try:
            if self.streams:
                return await collected(self.client, self.method, self.params, self.who)
            return await self.client.call(self.method, self.params)
        except AgentError as exc:
            raise meaning(self.who, exc) from exc
        except (UnsupportedAgentError, ValueError) as exc:
            raise misconfigured(f"{self.who}: {exc}") from exc

    async def cancel(self, trail: Trail) -> str:  # noqa: ARG002 - nothing to call back
        return "a request cannot be called back"


async def prepare(
    request: Request,
    outlet: Outlet,
    cards: Cards,
    guards: Guards,
    run_id: str,
    patience: timedelta,
) -> Prepared:
    """Find the agent and read the parameters.

    Credentials go to the origin of the endpoint that the document names, and to no other that a card
    may name.

    Raises:
        WorkflowError: `configuration`, `validation`, or the agent's card is not to be had.
    """
    given = request.arguments
    spelled = given.get("agentCard") or given["server"]
    url = address(spelled)
    if given.get("agentCard"):
        card = await cards.get(url, request.authentication)
    else:
        card = _card_of(url)
    try:
        http = outlet.client(authentication=request.authentication, origin=url)
        guard = guards.of(card)
        client = guard.over(AgentClient(card, http))
    except ParleyError as exc:
        raise misconfigured(exc.message) from exc
    method = given["method"]
    operation = A2A_METHODS[method]
    who = told(card.name, 80) or host_of(url)
    idempotent = request.idempotent or method not in _ONCE
    facts: dict[str, Any] = {
        "protocol": "a2a",
        "method": method,
        "uri": shown_uri(url),
        "idempotent": idempotent,
        "agentName": who,
        "headers": ["authorization"] if request.authentication else [],
    }
    parameters = dict(given["parameters"])
    if "/pushNotificationConfig/" in method:
        parameters = push_parameters(method, parameters)
    if operation not in ("SendMessage", "SendStreamingMessage"):
        return Operation(
            client=client,
            method=operation,
            params=parameters,
            streams=operation == "SubscribeToTask",
            who=who,
            facts=facts,
            idempotent=idempotent,
        )
    opened = opening(
        _under_contract(parameters, request.contract, card),
        message_id=identity(run_id, request.place),
        context_id=identity(run_id, request.place, "context"),
    )
    facts |= {"message": opened.message_id, "context": opened.context_id}
    if card.declares(DELEGATION):
        facts["contract"] = request.contract.as_json()
    return Sending(
        client=client,
        guard=guard,
        card=card,
        opened=opened,
        streams=operation == "SendStreamingMessage",
        patience=patience,
        who=who,
        facts=facts,
        idempotent=idempotent,
    )


def _under_contract(
    parameters: dict[str, Any], contract: DelegationContract, card: Card
) -> dict[str, Any]:
    """Put the contract of a message into it, if the agent knows what that is.

    Raises:
        WorkflowError: `configuration`: the agent is above the run.
    """
    try:
        urls = [interface.url for interface in card.interfaces]
        contract.check_chain(card.name, urls, max_depth=MAX_ANCESTORS)
    except DelegationError as exc:
        raise misconfigured(exc.message) from exc
    message = parameters.get("message")
    if not isinstance(message, dict) or not card.declares(DELEGATION):
        return parameters
    metadata, extensions = message.get("metadata", {}), message.get("extensions", [])
    if not isinstance(metadata, dict) or not isinstance(extensions, list):
        raise unfit("`metadata` of a message must be an object, and `extensions` an array")
    named = metadata.get(DELEGATION)
    said = {**(named if isinstance(named, dict) else {}), **contract.as_json()}
    message = {
        **message,
        "metadata": {**metadata, DELEGATION: said},
        "extensions": [*(each for each in extensions if each != DELEGATION), DELEGATION],
    }
    return {**parameters, "message": message}


def _card_of(url: httpx.URL) -> Card:
    """Make up the card of an agent of which only the address is known: JSON-RPC, A2A 1.0."""
    interface = Interface(url=str(url), binding="JSONRPC", protocol_version="1.0")
    return Card(
        raw=b"",
        digest="",
        name=host_of(url),
        version="",
        description="",
        interfaces=(interface,),
        skills=(),
        streaming=True,
        dedupes=False,
        json={"capabilities": {}},
    )
