"""The delegation contract as others write it: strict about its own members, silent about the rest.

Source: docs/delegation-extension.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from parley_cards.delegation import (
    MAX_ANCESTORS,
    UNLIMITED,
    Ancestor,
    Budget,
    DelegationContract,
    InvalidDelegationError,
    Spent,
    is_traceparent,
)
from parley_cards.extensions import DELEGATION
from parley_cards.findings import Finding, sentences


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", alias_generator=to_camel)


def _moment(text: str) -> datetime:
    # Digits beyond microseconds are cut off: the earlier moment is the narrower one.
    whole, dot, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}{dot}{fraction[:6].ljust(6, '0') if dot else ''}+00:00")


def _is_moment(text: str) -> str:
    _moment(text)
    return text


def _is_trace(text: str) -> str:
    if not is_traceparent(text):
        raise ValueError("must be a traceparent of W3C Trace Context, version 00")
    return text


def _whole(value: Any) -> Any:
    # Protobuf knows doubles only.
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _Cost(_Form):
    amount: Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?$")]
    unit: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,31}$")]


class _Limits(_Form):
    calls: Annotated[int, BeforeValidator(_whole), Field(ge=0, le=1_000_000_000)] | None = None
    cost: _Cost | None = None


class _Ancestor(_Form):
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    url: Annotated[str, StringConstraints(max_length=2048)] = ""
    run: Annotated[str, StringConstraints(max_length=256)] = ""


_Deadline = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z$"
    ),
    AfterValidator(_is_moment),
]
_Trace = Annotated[str, AfterValidator(_is_trace)]
_Key = Annotated[str, StringConstraints(pattern=r"^[!-~]+$", max_length=256)]


class _Contract(_Form):
    deadline: _Deadline | None = None
    budget: _Limits | None = None
    ancestors: Annotated[list[_Ancestor], Field(max_length=MAX_ANCESTORS)] = []
    traceparent: _Trace | None = None
    idempotency_key: _Key | None = None


F = TypeVar("F", bound=_Form)


def delegation_of(metadata: Mapping[str, Any]) -> DelegationContract:
    """Return the contract in the metadata of a message; one without limits if there is none.

    Raises:
        InvalidDelegationError: If one of its members is not of its form; the first reason is told.
    """
    return read_delegation(metadata[DELEGATION]) if DELEGATION in metadata else UNLIMITED


def read_delegation(value: Any) -> DelegationContract:
    """Read the value under the URI of the extension; members of others are left alone.

    Raises:
        InvalidDelegationError: As `delegation_of`.
    """
    form = _read(_Contract, value)
    return DelegationContract(
        deadline=None if form.deadline is None else _moment(form.deadline),
        budget=_budget(form.budget or _Limits()),
        ancestors=tuple(
            Ancestor(name=each.name, url=each.url, run=each.run) for each in form.ancestors
        ),
        traceparent=form.traceparent or "",
        idempotency_key=form.idempotency_key or "",
    )


def read_budget(value: Any) -> Budget:
    """Read a budget that a person has written: members that it does not have are refused, too.

    Raises:
        InvalidDelegationError: If it is not `{calls?, cost?: {amount, unit}}`.
    """
    unknown = value.keys() - {"calls", "cost"} if isinstance(value, dict) else set()
    if unknown:
        raise InvalidDelegationError([Finding(f"/{min(map(str, unknown))[:80]}", "is unknown")])
    return _budget(_read(_Limits, value))


def spent_of(metadata: Mapping[str, Any]) -> Spent:
    """Return what an agent reports beside its answer; nothing if that is not of its form."""
    report = metadata.get(DELEGATION)
    told = report.get("spent") if isinstance(report, Mapping) else None
    if told is None:
        return Spent()
    try:
        used = _budget(_read(_Limits, told))
    except InvalidDelegationError:
        return Spent()
    return Spent(calls=used.calls or 0, cost=used.cost or Decimal(0), unit=used.unit)


def _budget(form: _Limits) -> Budget:
    if form.cost is None:
        return Budget(calls=form.calls)
    return Budget(calls=form.calls, cost=Decimal(form.cost.amount), unit=form.cost.unit)


def _read(form: type[F], value: Any) -> F:
    try:
        return form.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as exc:
        raise InvalidDelegationError(sentences(exc, "")) from exc
