"""Where in its rank each node stands: as straight above and below its neighbours as there is room.

Each rank is the exact answer to a small question: the positions nearest to the wished ones (least
squares, by weight) that keep order and distance (isotonic regression by pooling).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, TypeAlias

from parley_coordinator.workflow.diagram.graph import Edge, Graph, Node

_SWEEPS: Final = 6
_GAP: Final = 30.0
_GAP_WAYPOINTS: Final = 16.0
_GAP_BESIDE: Final = 22.0
_STRAIGHT: Final = 8.0
"""A long edge must not wobble: its steps weigh this much more."""
_WEAK: Final = 0.05
_NEARLY: Final = 12.0
_SQUEEZE: Final = 0.7
"""For a straight line, gaps may become that much of what they are."""
_Pulls: TypeAlias = list[tuple[int, float, float]]
"""(other node, distance wished between the left sides, weight)"""


def place(graph: Graph) -> None:
    """Give every node its `x`; the leftmost stands at 0."""
    above, below, beside = _pulls(graph)
    for row in graph.ranks:
        _pack(graph, row)
    for _ in range(_SWEEPS):
        for row in graph.ranks:
            _settle(graph, row, above, beside)
        for row in reversed(graph.ranks):
            _settle(graph, row, below, beside)
    for row in graph.ranks:
        _settle(graph, row, above, beside)
    left = min(node.x for node in graph.nodes)
    for node in graph.nodes:
        node.x = float(round(node.x - left))
    _straighten(graph)
    for index, node in enumerate(graph.nodes):
        if node.last and not node.w:
            _hang(graph, index)


def _hang(graph: Graph, index: int) -> None:
    """Put the way out of a list straight below the main line that leads to it."""
    ends = []
    for edge in graph.edges:
        if edge.target == index:
            before = graph.nodes[[edge.source, *edge.waypoints][-1]]
            ends.append((-edge.weight, before.x + before.leave))
    node = graph.nodes[index]
    main = [x for weight, x in ends if weight == min(ends)[0]]
    nearest = min(main, key=lambda x: (abs(x - node.x), x))
    if len(main) == 1 or abs(nearest - node.x) < _NEARLY:
        node.x = nearest


def _straighten(graph: Graph) -> None:
    """Move what stands for edges below or above what is next to it, where nothing is in the way."""
    places = {index: at for row in graph.ranks for at, index in enumerate(row)}
    for edge in graph.edges:
        source, target = graph.nodes[edge.source], graph.nodes[edge.target]
        way = edge.waypoints[::-1]
        wish = None if edge.back or target.bar else target.x + target.enter
        for index in way:
            wish = _move(graph, index, places[index], wish)
        wish = None
        if not (edge.back or edge.label or source.bar):
            wish = source.x + (source.leave if edge.leave is None else edge.leave)
        for index in reversed(way):
            labelled = graph.nodes[index].w > 0
            wish = _move(graph, index, places[index], None if labelled else wish)


def _move(graph: Graph, index: int, at: int, wish: float | None) -> float:
    """Let a waypoint go by `wish`, if there is room; return where it goes by then."""
    node = graph.nodes[index]
    if wish is not None:
        row = graph.ranks[node.rank]
        x = wish - node.enter
        free = True
        if at > 0:
            before = graph.nodes[row[at - 1]]
            free = x >= before.x + before.w + _gap(before, node) * _SQUEEZE
        if at + 1 < len(row):
            after = graph.nodes[row[at + 1]]
            free = free and x + node.w + _gap(node, after) * _SQUEEZE <= after.x
        if free and x >= 0:
            node.x = x
    return node.x + node.enter


def _pulls(graph: Graph) -> tuple[dict[int, _Pulls], dict[int, _Pulls], dict[int, _Pulls]]:
    above: dict[int, _Pulls] = {}
    below: dict[int, _Pulls] = {}
    beside: dict[int, _Pulls] = {}
    for edge in graph.edges:
        way = [edge.source, *edge.waypoints, edge.target]
        for step, (one, other) in enumerate(pairwise(way)):
            source, target = graph.nodes[one], graph.nodes[other]
            if source.rank == target.rank:
                beside.setdefault(other, []).append((one, source.w + _GAP_BESIDE, _WEAK))
                continue
            upper, lower = (one, other) if source.rank < target.rank else (other, one)
            shift = _leaves(graph.nodes[upper], edge, first=step == 0) - graph.nodes[lower].enter
            both = source.waypoint + target.waypoint
            weight = edge.weight * (1.0, 2.0, _STRAIGHT)[both]
            if edge.back and both != 2:
                weight = _WEAK
            above.setdefault(lower, []).append((upper, shift, weight))
            below.setdefault(upper, []).append((lower, -shift, weight))
    return above, below, beside


def _leaves(node: Node, edge: Edge, *, first: bool) -> float:
    return edge.leave if first and edge.leave is not None and not edge.back else node.leave


def _settle(
    graph: Graph, row: list[int], pulls: dict[int, _Pulls], beside: dict[int, _Pulls]
) -> None:
    wishes = []
    for index in row:
        found = pulls.get(index, ())
        if not found:
            found = beside.get(index, ())
        total = sum(weight for _, _, weight in found)
        if total:
            wish = sum((graph.nodes[o].x + shift) * weight for o, shift, weight in found) / total
        else:
            wish, total = graph.nodes[index].x, _WEAK
        wishes.append((wish, total))
    offsets = _offsets(graph, row)
    pools: list[tuple[float, float, int]] = []
    """(mean, weight, how many)"""
    for offset, (wish, weight) in zip(offsets, wishes, strict=True):
        mean, heavy, count = wish - offset, weight, 1
        while pools and pools[-1][0] > mean:
            before, its, many = pools.pop()
            mean = (mean * heavy + before * its) / (heavy + its)
            heavy, count = heavy + its, count + many
        pools.append((mean, heavy, count))
    settled = [mean for mean, _, count in pools for _ in range(count)]
    for index, mean, offset in zip(row, settled, offsets, strict=True):
        graph.nodes[index].x = mean + offset


def _pack(graph: Graph, row: list[int]) -> None:
    offsets = _offsets(graph, row)
    middle = (offsets[-1] + graph.nodes[row[-1]].w) / 2 if row else 0.0
    for index, offset in zip(row, offsets, strict=True):
        graph.nodes[index].x = offset - middle


def _offsets(graph: Graph, row: list[int]) -> list[float]:
    """Return the least distance of each node from the first."""
    found, at = [], 0.0
    for place, index in enumerate(row):
        node = graph.nodes[index]
        if place:
            before = graph.nodes[row[place - 1]]
            at += before.w + _gap(before, node)
        found.append(at)
    return found


def _gap(one: Node, other: Node) -> float:
    both = one.waypoint + other.waypoint
    return (_GAP, _GAP_BESIDE, _GAP_WAYPOINTS)[both]
