"""What comes in over REST, as pydantic models that refuse what they do not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from parley_cards import strict_json
from parley_cards.delegation import TRACEPARENT, InvalidDelegationError, is_traceparent
from parley_cards.delegation_json import read_budget, read_delegation
from pydantic import ConfigDict, Field, ValidationError

from parley_coordinator.errors import InvalidRequestError
from parley_coordinator.web.resources import HealthName, ItemStateName, Resource, RunStateName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley_cards.delegation import DelegationContract

Name = Annotated[str, Field(min_length=1, max_length=200)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class RequestBody(Resource):
    """Refuses what it does not know: a misspelt field must not be ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


class StartRun(RequestBody):
    workflow: Name
    input: Any
    context_id: Name | None = None
    """Groups runs, as the contextId of A2A does."""
    version: Name | None = None
    """Of the workflow; the current one if it is left out."""
    deadline: Annotated[str, Field(max_length=40)] | None = None
    """By when it is to be done, in UTC: `2026-05-04T09:30:00Z`. What is left open then is stopped."""
    budget: dict[str, Any] | None = None
    """What it may use up: `{calls?, cost?: {amount, unit}}`; `amount` is a decimal string."""

    def contract(self, traceparent: str) -> DelegationContract:
        """Raises InvalidRequestError."""
        trace = {TRACEPARENT: traceparent} if is_traceparent(traceparent) else {}
        given = {"deadline": self.deadline, "budget": self.budget, **trace}
        try:
            read_budget(self.budget or {})
            return read_delegation({name: each for name, each in given.items() if each is not None})
        except InvalidDelegationError as exc:
            raise InvalidRequestError(
                f"the limits of the run cannot be read: {exc.reason}"
            ) from exc


class CancelRun(RequestBody):
    reason: Annotated[str, Field(max_length=2000)] = ""


class RepairRun(RequestBody):
    act: Literal["retry", "skip"] = "retry"
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    step: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """JSON pointer or name of a task; left out: where the run stopped."""
    arguments: dict[str, Any] | None = None
    """For `retry` of a call of an agent, instead of what the document computes."""
    output: Any = None
    """For `skip`: the raw output of the step; left out, what goes in comes out."""
    input: Any = None
    """Start over with this input."""
    again: bool = False
    """Repeat what had an effect, or may have had one."""


class DecideItem(RequestBody):
    outcome: Name
    """One of the item's outcomes."""
    digest: Digest
    """The item's digest as it was read: what is decided is exactly that proposal."""
    comment: Annotated[str, Field(max_length=2000)] = ""
    values: dict[str, Any] | None = None
    """The filled-in form, if the item has one."""


class RollBack(RequestBody):
    version: Name | None = None
    """What becomes current; left out, the version that was deployed before the current one."""


class Query(RequestBody):
    """Query parameters: strings on the wire, so numbers are read from text."""

    model_config = ConfigDict(strict=False)


class PageQuery(Query):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=500)] = ""
    """`nextCursor` of the page before."""


class RunQuery(PageQuery):
    workflow: Name | None = None
    state: RunStateName | None = None
    context_id: Name | None = None
    stuck: bool = False
    """Only runs that do not get on without somebody, or that should have gone on by now."""


class ItemQuery(PageQuery):
    state: ItemStateName | Literal["any"] = "ready"
    run: Name | None = None


class AgentQuery(Query):
    skill: Name | None = None
    tag: Name | None = None
    health: HealthName | None = None


class CallQuery(Query):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """`next` of the page before."""


class EventQuery(Query):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Annotated[int, Field(ge=0, le=2**53)] = 0
    """`next` of the page before."""
    type: Name | None = None


class SourceQuery(Query):
    source: Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")] = "document"
    """What to call the document in messages, such as its file."""


class VersionQuery(Query):
    version: Name | None = None
    """The current one if it is left out."""


class DiffQuery(Query):
    from_: Annotated[Name, Field(alias="from")]
    to: Name | None = None
    """The current version if it is left out."""


B = TypeVar("B", bound=RequestBody)


def read_body(model: type[B], raw: bytes) -> B:
    """Read a request body.

    Raises:
        MalformedJsonError: If it is not strict JSON.
        InvalidRequestError: If it does not fit `model`; `facts["findings"]` lists every reason.
    """
    return _read(model, strict_json.loads(raw))


def read_query(model: type[B], pairs: Sequence[tuple[str, str]]) -> B:
    """Read query parameters.

    Raises:
        InvalidRequestError: If one is unknown, comes twice, or has an impossible value.
    """
    values = dict(pairs)
    if len(values) != len(pairs):
        raise InvalidRequestError("a query parameter comes twice")
    return _read(model, values)


def _read(model: type[B], value: Any) -> B:
    try:
        return model.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as exc:
        findings = [
            {"path": "/" + "/".join(map(str, error["loc"])), "problem": error["msg"]}
            for error in exc.errors(include_url=False, include_input=False, include_context=False)
        ]
        first = findings[0]
        raise InvalidRequestError(
            f"{first['path'][:200]}: {first['problem'][:200]}", findings=findings[:20]
        ) from exc
