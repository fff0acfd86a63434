"""Who stands left of whom: sweeps that put each node near its neighbours, as long as it untangles."""

from __future__ import annotations

from bisect import bisect_right, insort
from itertools import pairwise
from typing import Final, TypeAlias

from parley_coordinator.workflow.diagram.graph import Graph

Pairs: TypeAlias = list[tuple[int, int]]

_SWEEPS: Final = 6
_LARGE: Final = 4000
"""With more steps than this, one sweep has to do."""


def order(graph: Graph) -> None:
    """Order each rank so that few edges cross; between equals the order of the document stays."""
    gaps = steps(graph)
    best = [list(row) for row in graph.ranks]
    fewest = _crossings(graph, gaps)
    for sweep in range(1 if sum(map(len, gaps)) > _LARGE else _SWEEPS):
        if fewest == 0:
            break
        _sweep(graph, gaps, downwards=sweep % 2 == 0)
        found = _crossings(graph, gaps)
        if found < fewest:
            fewest, best = found, [list(row) for row in graph.ranks]
    graph.ranks = best


def steps(graph: Graph) -> list[Pairs]:
    """Return, for each gap between two ranks, which upper node is joined with which lower one."""
    found: list[Pairs] = [[] for _ in graph.ranks]
    for edge in graph.edges:
        way = [edge.source, *edge.waypoints, edge.target]
        for one, other in pairwise(way):
            ranks = graph.nodes[one].rank, graph.nodes[other].rank
            if ranks[0] < ranks[1]:
                found[ranks[0]].append((one, other))
            elif ranks[1] < ranks[0]:
                found[ranks[1]].append((other, one))
    return found


def _sweep(graph: Graph, gaps: list[Pairs], *, downwards: bool) -> None:
    count = len(graph.ranks)
    for at in range(1, count) if downwards else range(count - 2, -1, -1):
        fixed = graph.ranks[at - 1 if downwards else at + 1]
        places = {index: place for place, index in enumerate(fixed)}
        near: dict[int, list[int]] = {}
        for upper, lower in gaps[at - 1 if downwards else at]:
            mine, other = (lower, upper) if downwards else (upper, lower)
            near.setdefault(mine, []).append(places[other])
        row = graph.ranks[at]
        joined = [index for index in row if index in near]
        joined.sort(key=lambda index: sum(near[index]) / len(near[index]))
        sorted_ones = iter(joined)
        graph.ranks[at] = [next(sorted_ones) if index in near else index for index in row]


def _crossings(graph: Graph, gaps: list[Pairs]) -> int:
    places = {index: place for row in graph.ranks for place, index in enumerate(row)}
    total = 0
    for pairs in gaps:
        seen: list[int] = []
        for _, lower in sorted((places[upper], places[lower]) for upper, lower in pairs):
            total += len(seen) - bisect_right(seen, lower)
            insort(seen, lower)
    return total
