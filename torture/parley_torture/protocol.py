"""What goes over the pipes of an adapter, as values; docs/torture.md describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from parley_torture.errors import AdapterError

PROTOCOL: Final = 1
FINAL: Final = frozenset({"completed", "failed", "cancelled"})
STATES: Final = FINAL | {"running", "waiting", "unknown"}
KINDS: Final = frozenset({"input", "auth", "incident"})


@dataclass(frozen=True, kw_only=True)
class Step:
    """One message to one agent."""

    name: str
    agent: str
    """Base URL."""
    skill: str
    deadline_s: float = 100.0
    more: dict[str, Any] = field(default_factory=dict)
    """Merged into what is sent."""
    output_schema: dict[str, Any] | None = None

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "name": self.name,
            "agent": self.agent,
            "skill": self.skill,
            "deadline_s": self.deadline_s,
        }
        if self.more:
            body["with"] = self.more
        if self.output_schema is not None:
            body["output_schema"] = self.output_schema
        return body


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Steps side by side."""

    steps: tuple[Step, ...]
    collects: bool = False
    """Whether the others go on when one fails."""

    def body(self) -> dict[str, Any]:
        return {
            "failures": "collect" if self.collects else "stop",
            "steps": [step.body() for step in self.steps],
        }


@dataclass(frozen=True)
class Ask:
    """What a run wants of a person."""

    id: str
    kind: str
    step: str
    text: str


@dataclass(frozen=True)
class Look:
    """Where a run is."""

    state: str
    output: Any = None
    reason: str = ""
    failed: tuple[str, ...] = ()
    asks: tuple[Ask, ...] = ()

    @property
    def final(self) -> bool:
        return self.state in FINAL

    def asked(self, kind: str) -> Ask | None:
        return next((ask for ask in self.asks if ask.kind == kind), None)

    @property
    def outcome(self) -> str:
        """`incident` if nobody knows and a person must say; else the state."""
        return "incident" if self.asked("incident") else self.state


@dataclass(frozen=True)
class Hello:
    """What an orchestrator is, and what it can be asked for."""

    name: str
    can: frozenset[str]
    cannot: dict[str, str]
    parts: str


def read_hello(said: Any) -> Hello:
    """Read the answer to `hello`.

    Raises:
        AdapterError: If it is none.
    """
    try:
        hello = Hello(
            name=str(said["name"])[:100],
            can=frozenset(map(str, said.get("can", ()))),
            cannot={str(k): str(v)[:200] for k, v in (said.get("cannot") or {}).items()},
            parts=said.get("parts", "data"),
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise AdapterError(f"the adapter's hello lacks a name, or has odd members: {said}") from exc
    if hello.parts not in ("data", "text"):
        raise AdapterError(f"`parts` is data or text, not {hello.parts!r}")
    return hello


def read_look(said: Any) -> Look:
    """Read the answer to `look`.

    Raises:
        AdapterError: If it is none.
    """
    try:
        look = Look(
            state=said["state"],
            output=said.get("output"),
            reason=str(said.get("reason") or "")[:500],
            failed=tuple(map(str, said.get("failed") or ())),
            asks=tuple(
                Ask(str(a["id"]), a["kind"], str(a.get("step", "")), str(a.get("text", "")))
                for a in said.get("asks") or ()
            ),
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise AdapterError(f"the adapter's look is not as docs/torture.md says: {said}") from exc
    if look.state not in STATES or any(ask.kind not in KINDS for ask in look.asks):
        raise AdapterError(f"the adapter's look has an unknown state or kind: {said}")
    return look
