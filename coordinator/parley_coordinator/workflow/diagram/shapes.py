"""What a diagram is made of, before it is written as SVG: shapes with a size, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from parley_coordinator.workflow.diagram.graph import Edge, Graph, Node, rank
from parley_coordinator.workflow.diagram.ordering import order
from parley_coordinator.workflow.diagram.placing import place
from parley_coordinator.workflow.diagram.routing import Route, route

_BEYOND: Final = 18.0

Form: TypeAlias = Literal["box", "diamond", "pill", "bar", "frame", "point"]
Tone: TypeAlias = Literal["kind", "title", "sub", "error", "time", "small"]


@dataclass(frozen=True, slots=True)
class Text:
    """Lines that stand below each other, the first at `y`."""

    lines: tuple[str, ...]
    x: float
    y: float
    tone: Tone
    size: float
    middle: bool = False
    """`x` is the middle of the lines, not their start."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A way back inside of a frame, from its end to its start."""

    style: Literal["flow", "error"]
    x: float
    top: float
    bottom: float
    enter: float
    """Where it joins the way in."""
    leave: float | None
    """Where it leaves the way out; None: anywhere in the frame."""


@dataclass(slots=True, kw_only=True)
class Shape:
    form: Form
    kind: str
    """A kind of the outline, or `start`, `end`, `entry`, `exit`, `fork`."""
    w: float
    h: float
    path: str = ""
    number: str = ""
    hint: str = ""
    texts: tuple[Text, ...] = ()
    icon: tuple[float, float] | None = None
    """Upper left corner of the glyph of the kind."""
    head: float = 0.0
    """Height of the title of a frame."""
    enter: float = 0.0
    leave: float = 0.0
    goes_on: bool = True
    """Something can follow it."""
    inner: Drawing | None = None
    inner_at: tuple[float, float] = (0.0, 0.0)
    lane: Lane | None = None


@dataclass(slots=True)
class Drawing:
    """A flow that has been laid out."""

    shapes: list[tuple[Shape, Node]]
    routes: list[Route]
    graph: Graph
    w: float
    h: float


@dataclass(slots=True)
class Sketch:
    """A flow in the making."""

    shapes: list[Shape] = field(default_factory=list)
    graph: Graph = field(default_factory=Graph)

    def add(self, shape: Shape, *, last: bool = False) -> int:
        self.shapes.append(shape)
        return self.graph.node(
            Node(
                w=shape.w,
                h=shape.h,
                enter=shape.enter,
                leave=shape.leave,
                bar=shape.form == "bar",
                last=last,
            )
        )

    def join(self, edge: Edge) -> None:
        self.graph.edges.append(edge)

    def reaches(self, index: int) -> bool:
        return any(edge.target == index for edge in self.graph.edges)

    def drawn(self) -> Drawing:
        """Lay it out."""
        graph = self.graph
        count = len(self.shapes)
        rank(graph)
        order(graph)
        place(graph)
        routes, height = route(graph)
        _fit_bars(graph, routes)
        width = max(node.x + node.w for node in graph.nodes)
        width = max([width, *(x for each in routes for x, _ in each.points)])
        pairs = list(zip(self.shapes, graph.nodes[:count], strict=True))
        return Drawing(pairs, routes, graph, width, height)


def _fit_bars(graph: Graph, routes: list[Route]) -> None:
    """Let bars be as wide as what parts from them, or joins."""
    for index, node in enumerate(graph.nodes):
        if node.bar:
            ends = [each.points[0][0] for each in routes if each.edge.source == index]
            ends += [each.points[-1][0] for each in routes if each.edge.target == index]
            node.x = min(ends) - _BEYOND
            node.w = max(ends) + _BEYOND - node.x
