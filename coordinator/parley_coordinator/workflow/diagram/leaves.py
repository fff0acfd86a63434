"""The shapes that stand for one task: boxes, diamonds, and where a flow starts and ends."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from parley_coordinator.workflow.diagram.lettering import LEAD, width, wrap
from parley_coordinator.workflow.diagram.shapes import Shape, Text, Tone

if TYPE_CHECKING:
    from parley_coordinator.workflow.outline import Entry

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "agent": "Agent",
        "person": "Person",
        "system": "Outside system",
        "workflow": "Workflow",
        "data": "Data",
        "choice": "Choice",
        "steps": "Steps",
        "loop": "Loop",
        "fork": "At the same time",
        "attempt": "Attempt",
        "raise": "Error",
        "wait": "Timer",
        "announce": "Event sent",
        "listen": "Event awaited",
    }
)
"""What a kind of task is called in the diagram."""

TITLE: Final = 13.0
SUB: Final = 11.5
KIND: Final = 10.5
ICON: Final = 16.0
_BAR: Final = 36.0
_BOX: Final = 216.0
_PAD: Final = 11.0
_MAX_LINES: Final = 3
_DIAMOND_ROOM: Final = 150.0
_PILL_ROOM: Final = 230.0


class Lines:
    """Text that grows downwards."""

    def __init__(self, x: float, y: float, room: float, *, middle: bool = False) -> None:
        self.texts: list[Text] = []
        self.y = y
        self.widest = 0.0
        self._x = x
        self._room = room
        self._middle = middle

    def add(self, text: str, tone: Tone, size: float, *, most: int = _MAX_LINES) -> None:
        if not text:
            return
        bold = tone in ("title", "kind")
        lines = wrap(text, self._room, size, bold=bold, most=most)
        self.texts.append(Text(lines, self._x, self.y + size * 0.92, tone, size, self._middle))
        self.widest = max(self.widest, *(width(line, size, bold=bold) for line in lines))
        self.y += len(lines) * size * LEAD + 2

    def gap(self, height: float) -> None:
        self.y += height


def about(entry: Entry) -> list[tuple[str, Tone]]:
    """Return what a shape says below its title."""
    undoes: tuple[str, Tone] = (f"undoes {entry.undoes}" if entry.undoes else "", "error")
    return [
        (entry.condition, "sub"),
        (entry.who, "sub"),
        (entry.does, "sub"),
        undoes,
        (entry.deadline, "time"),
    ]


def hint_of(entry: Entry) -> str:
    """Return all that the outline says about an entry, for who points at its shape."""
    return f"{entry.number}. {entry.line}"


def box(entry: Entry) -> Shape:
    """Draw a task that does one thing."""
    lines = Lines(_PAD, 34.0, _BOX - 2 * _PAD)
    lines.add(entry.text, "title", TITLE, most=4)
    for text, tone in about(entry):
        lines.add(text, tone, SUB, most=4)
    return Shape(
        form="box",
        kind=entry.kind,
        w=_BOX,
        h=lines.y + 8,
        path=entry.path,
        number=entry.number,
        hint=hint_of(entry),
        texts=(*heading(entry, _BOX, 9.0), *lines.texts),
        icon=(_PAD - 1, 9.0),
        enter=_BOX / 2,
        leave=_BOX / 2,
    )


def heading(entry: Entry, w: float, y: float) -> tuple[Text, Text]:
    """Name the kind beside its glyph, and put the number at the right."""
    kind = NAMES[entry.kind]
    baseline = y + 12.0
    at = w - _PAD - width(entry.number, KIND)
    return (
        Text((kind,), _PAD + ICON + 4, baseline, "kind", KIND),
        Text((entry.number,), at, baseline, "small", KIND),
    )


def diamond(entry: Entry) -> Shape:
    """Draw a choice: wide and high enough that its text stays inside of the slopes."""
    lines = Lines(0.0, 0.0, _DIAMOND_ROOM, middle=True)
    lines.add(f"{NAMES[entry.kind]} {entry.number}", "kind", KIND)
    lines.add(entry.text, "title", TITLE, most=4)
    for text, tone in about(entry):
        lines.add(text, tone, SUB)
    inner_w, inner_h = max(lines.widest, 60.0), lines.y
    # A rectangle fits into a diamond if w / W + h / H is at most 1.
    w, h = inner_w * 1.7, inner_h * 2.5
    top = (h - inner_h) / 2
    placed = tuple(
        Text(each.lines, w / 2, each.y + top, each.tone, each.size, middle=True)
        for each in lines.texts
    )
    return Shape(
        form="diamond",
        kind=entry.kind,
        w=w,
        h=h,
        path=entry.path,
        number=entry.number,
        hint=hint_of(entry),
        texts=placed,
        enter=w / 2,
        leave=w / 2,
    )


def pill(kind: str, title: str, text: str = "") -> Shape:
    """Draw where a flow starts or ends."""
    lines = Lines(0.0, 8.0, _PILL_ROOM, middle=True)
    lines.add(title, "title", TITLE)
    lines.add(text, "sub", SUB)
    w = max(lines.widest + 36, 84.0)
    placed = tuple(
        Text(each.lines, w / 2, each.y, each.tone, each.size, middle=True) for each in lines.texts
    )
    return Shape(form="pill", kind=kind, w=w, h=lines.y + 7, texts=placed, enter=w / 2, leave=w / 2)


def point(kind: str) -> Shape:
    """Where a flow comes into a frame, or leaves it."""
    return Shape(form="point", kind=kind, w=0.0, h=0.0)


def bar() -> Shape:
    """Where branches part or join; it gets as wide as they need."""
    return Shape(form="bar", kind="fork", w=_BAR, h=5.0, enter=_BAR / 2, leave=_BAR / 2)
