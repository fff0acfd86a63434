"""Which way edges take between the ranks: down, along a track of their own, and on.

A channel is the room between two ranks. Channel `c` lies below rank `c`; -1 is above them all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from parley_coordinator.workflow.diagram.graph import Edge, Graph, Node

_ABOVE: Final = 16.0
"""From a rank to the first track below it."""
_BELOW: Final = 20.0
"""From the last track to the next rank: an arrow has to fit."""
_TRACK: Final = 12.0
_PLAIN: Final = 30.0
"""Between two ranks without a track."""
_EDGE: Final = 8.0
"""Between a track and the border, where there is no rank."""
_NEAR: Final = 9.0
_OVERLAP: Final = 1000
_UNSEEN: Final = 0.6
_NEARLY: Final = 10.0
"""An edge may arrive that far beside the middle, if it is straight then."""

Point: TypeAlias = tuple[float, float]
Side: TypeAlias = Literal["top", "bottom"]


@dataclass(frozen=True, slots=True)
class Route:
    edge: Edge
    points: tuple[Point, ...]
    """From the source to the target."""


@dataclass(slots=True)
class _Net:
    """Steps of edges that share a track: they come from one node, or go to one."""

    tops: list[float] = field(default_factory=list)
    """Where it is joined with the rank above."""
    bottoms: list[float] = field(default_factory=list)
    track: int = 0

    def join(self, x: float, side: Side) -> None:
        (self.tops if side == "top" else self.bottoms).append(x)

    @property
    def left(self) -> float:
        return min(self.tops + self.bottoms)

    @property
    def right(self) -> float:
        return max(self.tops + self.bottoms)


@dataclass(slots=True)
class _Step:
    """One way through a channel."""

    channel: int
    start: float
    start_side: Side
    end: float
    end_side: Side
    net: _Net | None = None

    @property
    def straight(self) -> bool:
        return self.start_side != self.end_side and self.start == self.end


def route(graph: Graph) -> tuple[list[Route], float]:
    """Give every node its `y`; return the way of each edge, and the height of it all."""
    walks = [(edge, _steps(graph, edge)) for edge in graph.edges]
    channels = _joined(walks, len(graph.ranks))
    counts = [_assign(list(nets.values())) for nets in channels]
    starts, height = _stack(graph, counts)
    return [Route(edge, tuple(_points(graph, edge, walk, starts))) for edge, walk in walks], height


def _steps(graph: Graph, edge: Edge) -> list[_Step]:
    nodes = graph.nodes
    source, target = nodes[edge.source], nodes[edge.target]
    way = [nodes[index] for index in edge.waypoints]
    at = _port(source, source.leave if edge.leave is None else edge.leave, [*way, target][0])
    end = _port(target, target.enter, [source, *way][-1])
    middles = [node.x + node.enter for node in way]
    if not edge.back:
        last = middles[-1] if middles else at
        if abs(end - last) < _NEARLY and target.w > 4 * _NEARLY:
            end = last
        stops = _aligned([at, *middles, end])
        return [
            _Step(source.rank + step, stops[step], "top", stops[step + 1], "bottom")
            for step in range(len(stops) - 1)
        ]
    middles = _aligned(middles)
    return [
        _Step(source.rank, at, "top", middles[0], "top"),
        *(
            _Step(node.rank, before, "bottom", here, "top")
            for node, before, here in zip(way[1:], middles, middles[1:], strict=False)
        ),
        _Step(target.rank - 1, middles[-1], "bottom", end, "bottom"),
    ]


def _aligned(stops: list[float]) -> list[float]:
    """Make straight what is off by less than can be seen."""
    found = stops[:1]
    for stop in stops[1:]:
        found.append(found[-1] if abs(stop - found[-1]) < _UNSEEN else stop)
    return found


def _port(node: Node, usual: float, other: Node) -> float:
    if node.bar:
        return other.x + (other.enter if other.rank > node.rank else other.leave)
    return node.x + usual


def _joined(walks: list[tuple[Edge, list[_Step]]], ranks: int) -> list[dict[object, _Net]]:
    """Return the nets of each channel, the one above all ranks first."""
    channels: list[dict[object, _Net]] = [{} for _ in range(ranks + 1)]
    arrivals: dict[tuple[int, int], int] = {}
    for edge, walk in walks:
        arrival = (walk[-1].channel, edge.target)
        arrivals[arrival] = arrivals.get(arrival, 0) + 1
    for number, (edge, walk) in enumerate(walks):
        for place, step in enumerate(walk):
            if step.straight:
                continue
            key: object = (number, place)
            if step is walk[-1] and arrivals[step.channel, edge.target] > 1:
                key = ("to", edge.target, edge.style)
            elif place == 0 and edge.leave is None and not edge.back:
                key = ("from", edge.source, edge.style)
            step.net = channels[step.channel + 1].setdefault(key, _Net())
            step.net.join(step.start, step.start_side)
            step.net.join(step.end, step.end_side)
    return channels


def _assign(nets: list[_Net]) -> int:
    """Give each net a track so that they cross seldom and never lie on each other; count tracks."""
    nets.sort(key=lambda net: (net.left + net.right, net.left))
    for _ in range(len(nets)):
        changed = False
        for place in range(len(nets) - 1):
            one, other = nets[place], nets[place + 1]
            if _crossed(other, one) < _crossed(one, other):
                nets[place], nets[place + 1] = other, one
                changed = True
        if not changed:
            break
    for place, net in enumerate(nets):
        net.track = max(
            (above.track + 1 for above in nets[:place] if _overlap(above, net)), default=0
        )
    return max((net.track + 1 for net in nets), default=0)


def _crossed(upper: _Net, lower: _Net) -> int:
    """Count what crosses if `upper` has the higher track."""
    down = sum(lower.left < x < lower.right for x in upper.bottoms)
    up = sum(upper.left < x < upper.right for x in lower.tops)
    on = sum(abs(x - y) < _NEAR for x in upper.bottoms for y in lower.tops)
    return down + up + on * _OVERLAP


def _overlap(one: _Net, other: _Net) -> bool:
    return one.left < other.right + _NEAR and other.left < one.right + _NEAR


def _stack(graph: Graph, counts: list[int]) -> tuple[list[float], float]:
    """Put the ranks below each other; return where each channel begins, and the whole height."""
    tracks = [(count - 1) * _TRACK for count in counts]
    y = _EDGE + tracks[0] + _BELOW if counts[0] else 0.0
    starts = [y - tracks[0] - _BELOW - _ABOVE]
    for at, row in enumerate(graph.ranks):
        for index in row:
            graph.nodes[index].y = y
        y += max((graph.nodes[index].h for index in row), default=0.0)
        starts.append(y)
        last = at == len(graph.ranks) - 1
        if counts[at + 1]:
            y += _ABOVE + tracks[at + 1] + (_EDGE if last else _BELOW)
        elif not last:
            y += _PLAIN
    return starts, y


def _points(graph: Graph, edge: Edge, walk: list[_Step], starts: list[float]) -> list[Point]:
    source, target = graph.nodes[edge.source], graph.nodes[edge.target]
    points = [(walk[0].start, source.y + source.h)]
    for step in walk:
        if step.net is not None:
            y = starts[step.channel + 1] + _ABOVE + step.net.track * _TRACK
            points += [(step.start, y), (step.end, y)]
    points.append((walk[-1].end, target.y))
    return points
