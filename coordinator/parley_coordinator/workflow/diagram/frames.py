"""Frames around the drawing of a list: a title, what comes in at the top, what leaves at the bottom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parley_coordinator.workflow.diagram.leaves import SUB, TITLE, Lines, about, heading, hint_of
from parley_coordinator.workflow.diagram.shapes import Drawing, Lane, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley_coordinator.workflow.diagram.graph import Node, Style
    from parley_coordinator.workflow.outline import Entry

_PAD: Final = 16.0
_LANE: Final = 26.0
_LANE_END: Final = 9.0
"""From the way in and the way out to where a lane joins them."""
_LEAST: Final = 216.0
_MOST_TITLE: Final = 420.0


def frame(
    entry: Entry, inner: Drawing, *, again: Style | None = None, notes: Sequence[str] = ()
) -> Shape:
    """Put a titled frame around a drawing.

    Args:
        again: Draw a way back from its end to its start.
        notes: Said about errors, in the title.
    """
    w = max(_LEAST, _width(inner, again))
    lines = Lines(12.0, 30.0, min(max(w, _LEAST) - 24.0, _MOST_TITLE))
    lines.add(entry.text, "title", TITLE)
    for text, tone in about(entry):
        lines.add(text, tone, SUB, most=5)
    for note in notes:
        lines.add(note, "error", SUB, most=5)
    shape = _around(inner, w, lines.y + 6, again)
    shape.kind, shape.path, shape.number = entry.kind, entry.path, entry.number
    shape.hint = hint_of(entry)
    shape.texts = (*heading(entry, w, 6.0), *lines.texts)
    shape.icon = (11.0, 6.0)
    return shape


def plain_frame(inner: Drawing, *, again: Style | None = None) -> Shape:
    """Put a frame without a title around what is tried as a whole."""
    return _around(inner, _width(inner, again), 0.0, again)


def _width(inner: Drawing, again: Style | None) -> float:
    return inner.w + 2 * _PAD + (_LANE if again else 0.0)


def _around(inner: Drawing, w: float, head: float, again: Style | None) -> Shape:
    left = (w - _width(inner, again)) / 2 + _PAD
    entry, out = _ports(inner)
    enter = left + entry.x
    leave = enter if out is None else left + out.x
    lane = None
    if again:
        bottom = head + inner.h - _LANE_END
        lane = Lane(
            style=again,
            x=left + inner.w + _LANE - 6.0,
            top=head + _LANE_END,
            bottom=bottom,
            enter=enter,
            leave=leave if again == "flow" else None,
        )
    return Shape(
        form="frame",
        kind="attempt",
        w=w,
        h=head + inner.h + (_PAD if out is None else 0.0),
        head=head,
        enter=enter,
        leave=leave,
        goes_on=out is not None,
        inner=inner,
        inner_at=(left, head),
        lane=lane,
    )


def _ports(inner: Drawing) -> tuple[Node, Node | None]:
    found = {shape.kind: node for shape, node in inner.shapes if shape.form == "point"}
    return found["entry"], found.get("exit")
