"""A drawing as SVG text: the same drawing always gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from parley_coordinator.workflow.diagram.drawing import LABEL
from parley_coordinator.workflow.diagram.graph import Node
from parley_coordinator.workflow.diagram.lettering import LEAD
from parley_coordinator.workflow.diagram.routing import Point, Route
from parley_coordinator.workflow.diagram.shapes import Drawing, Lane, Shape, Text, Tone
from parley_coordinator.workflow.diagram.style import FAMILY, GLYPHS

_CORNER: Final = 6.0
_TIP: Final = 7.0
_ICON_SCALE: Final = 0.95


def drawing_svg(drawing: Drawing, x: float, y: float) -> Iterator[str]:
    """Yield a drawing with its upper left corner at (`x`, `y`)."""
    yield f'<g transform="translate({_n(x)} {_n(y)})">'
    names = [_name(shape) for shape, _ in drawing.shapes]
    bare = [shape.form in ("point", "bar") or not shape.texts for shape, _ in drawing.shapes]
    for style in ("error", "flow"):
        for route in drawing.routes:
            edge = route.edge
            if edge.style == style:
                ends = names[edge.source], names[edge.target]
                yield from _way(route, *ends, tip=not bare[edge.target])
    for shape, node in drawing.shapes:
        yield from _shape(shape, node)
    for route in drawing.routes:
        if route.edge.label:
            yield from _label(route, drawing.graph.nodes[route.edge.waypoints[0]])
    yield "</g>"


def text_svg(text: Text) -> Iterator[str]:
    anchor = ' text-anchor="middle"' if text.middle else ""
    for index, line in enumerate(text.lines):
        at = text.y + index * text.size * LEAD
        yield (
            f'<text class="{text.tone}" x="{_n(text.x)}" y="{_n(at)}" font-size="{_n(text.size)}"'
            f"{anchor}>{escape(line)}</text>"
        )


def glyph_svg(kind: str, x: float, y: float) -> str:
    """Return the glyph of a kind with its upper left corner at (`x`, `y`)."""
    place = f"translate({_n(x)} {_n(y)}) scale({_ICON_SCALE})"
    return f'<path class="glyph" transform="{place}" d="{GLYPHS[kind]}"/>'


def _name(shape: Shape) -> str:
    return shape.path or shape.kind


def _shape(shape: Shape, node: Node) -> Iterator[str]:
    if shape.form == "point":
        return
    classes = [shape.form, f"k-{FAMILY.get(shape.kind, shape.kind)}"]
    if shape.form == "frame" and not shape.head:
        classes.append("plain")
    path = f' data-path="{escape(shape.path)}"' if shape.path else ""
    place = f"translate({_n(node.x)} {_n(node.y)})"
    yield f'<g class="{" ".join(classes)}"{path} transform="{place}">'
    if shape.hint:
        yield f"<title>{escape(shape.hint)}</title>"
    yield _body(shape, node.w)
    if shape.head:
        yield f'<path class="head" d="M0 {_n(shape.head)}H{_n(shape.w)}"/>'
    if shape.icon is not None:
        yield glyph_svg(shape.kind, *shape.icon)
    for text in shape.texts:
        yield from text_svg(text)
    if shape.inner is not None:
        yield from drawing_svg(shape.inner, *shape.inner_at)
    if shape.lane is not None:
        yield from _lane(shape.lane)
    yield "</g>"


def _body(shape: Shape, w: float) -> str:
    h = shape.h
    if shape.form == "diamond":
        middle, half = _n(w / 2), _n(h / 2)
        return f'<path class="body" d="M{middle} 0L{_n(w)} {half}L{middle} {_n(h)}L0 {half}z"/>'
    radius = {"pill": min(h / 2, 22.0), "bar": 2.5, "frame": 10.0}.get(shape.form, 8.0)
    return f'<rect class="body" width="{_n(w)}" height="{_n(h)}" rx="{_n(radius)}"/>'


def _way(route: Route, source: str, target: str, *, tip: bool) -> Iterator[str]:
    points = list(route.points)
    x, y = points[-1]
    if tip:
        points[-1] = (x, y - _TIP + 1)
    style = route.edge.style
    yield (
        f'<path class="way {style}" data-from="{escape(source)}" data-to="{escape(target)}"'
        f' d="{_line(points)}"/>'
    )
    if tip:
        yield (
            f'<path class="tip {style}" d="M{_n(x)} {_n(y)}l{_n(-_TIP * 0.6)} {_n(-_TIP)}'
            f'h{_n(_TIP * 1.2)}z"/>'
        )


def _lane(lane: Lane) -> Iterator[str]:
    start = lane.x if lane.leave is None else lane.leave
    points = [
        (start, lane.bottom), (lane.x, lane.bottom), (lane.x, lane.top),
        (lane.enter + _TIP - 1, lane.top),
    ]  # fmt: skip
    yield f'<path class="way again {lane.style}" d="{_line(points)}"/>'
    yield (
        f'<path class="tip {lane.style}" d="M{_n(lane.enter)} {_n(lane.top)}'
        f'l{_n(_TIP)} {_n(-_TIP * 0.6)}v{_n(_TIP * 1.2)}z"/>'
    )
    if lane.leave is None:
        yield f'<circle class="dot" cx="{_n(lane.x)}" cy="{_n(lane.bottom)}" r="3.5"/>'


def _label(route: Route, place: Node) -> Iterator[str]:
    edge = route.edge
    lines = edge.label
    room_w, room_h = edge.room
    yield f'<g class="label {edge.style}" transform="translate({_n(place.x)} {_n(place.y)})">'
    yield f"<title>{escape(edge.hint)}</title>"
    yield f'<rect width="{_n(room_w)}" height="{_n(room_h)}" rx="7"/>'
    tone: Tone = "error" if edge.style == "error" else "sub"
    yield from text_svg(Text(lines, room_w / 2, 1 + LABEL * 1.06, tone, LABEL, middle=True))
    yield "</g>"


def _line(points: list[Point]) -> str:
    """Return a path along points with rounded corners."""
    way = [point for index, point in enumerate(points) if not _between(points, index)]
    parts = [f"M{_n(way[0][0])} {_n(way[0][1])}"]
    for before, here, after in zip(way, way[1:], way[2:], strict=False):
        one, other = _towards(here, before), _towards(here, after)
        parts.append(f"L{_n(one[0])} {_n(one[1])}")
        parts.append(f"Q{_n(here[0])} {_n(here[1])} {_n(other[0])} {_n(other[1])}")
    parts.append(f"L{_n(way[-1][0])} {_n(way[-1][1])}")
    return "".join(parts)


def _between(points: list[Point], index: int) -> bool:
    """Tell whether a point adds nothing: it lies on the line, or where the one before is."""
    if index == 0 or index == len(points) - 1:
        return False
    (ax, ay), (x, y), (bx, by) = points[index - 1 : index + 2]
    return ax == x == bx or ay == y == by or (ax, ay) == (x, y)


def _towards(here: Point, there: Point) -> Point:
    dx, dy = there[0] - here[0], there[1] - here[1]
    length = abs(dx) + abs(dy)
    part = min(_CORNER, length / 2) / length if length else 0.0
    return here[0] + dx * part, here[1] + dy * part


def _n(value: float) -> str:
    written = f"{value:.1f}".removesuffix(".0")
    return "0" if written == "-0" else written
