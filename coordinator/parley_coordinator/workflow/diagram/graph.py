"""A flow as a layered graph: ranks from top to bottom, and what stands for an edge on its way.

An edge that spans ranks goes by a waypoint in each of them, so that nothing else is put there; the
first waypoint of a labelled edge is as large as its label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Style: TypeAlias = Literal["flow", "error"]


@dataclass(slots=True, kw_only=True)
class Node:
    """A rectangle; `x` and `y` are its upper left corner once it is placed."""

    w: float
    h: float
    enter: float
    """From its left side to where edges arrive at the top."""
    leave: float
    """From its left side to where edges leave at the bottom."""
    bar: bool = False
    """Edges arrive and leave wherever they come from or go to."""
    waypoint: bool = False
    last: bool = False
    """Goes below everything else."""
    x: float = 0.0
    y: float = 0.0
    rank: int = 0


@dataclass(slots=True, kw_only=True)
class Edge:
    source: int
    target: int
    """Index of a node, as `source`."""
    style: Style = "flow"
    label: tuple[str, ...] = ()
    hint: str = ""
    """More words about it."""
    room: tuple[float, float] = (0.0, 0.0)
    """Width and height of the label."""
    weight: float = 1.0
    """How much it wants to be straight."""
    leave: float | None = None
    """Instead of the source's `leave`."""
    back: bool = False
    """Leads upwards: to something that comes before its source."""
    waypoints: list[int] = field(default_factory=list)
    """Indexes of nodes, from the source to the target."""


@dataclass(slots=True)
class Graph:
    """The first node is where the flow enters."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    ranks: list[list[int]] = field(default_factory=list)
    """Indexes of nodes, from left to right."""

    def node(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1


def rank(graph: Graph) -> None:
    """Tell the edges that go back, give every node a rank, and put waypoints on long edges."""
    order = _ordered(graph)
    outgoing = _outgoing(graph)
    for index in order:
        node = graph.nodes[index]
        for edge in outgoing[index]:
            if not edge.back:
                target = graph.nodes[edge.target]
                target.rank = max(target.rank, node.rank + (2 if edge.label else 1))
    for node in graph.nodes:
        if node.last:
            node.rank = max(each.rank for each in graph.nodes)
            if any(each.rank == node.rank for each in graph.nodes if each is not node):
                node.rank += 1
    graph.ranks = [[] for _ in range(1 + max(node.rank for node in graph.nodes))]
    for index in order:
        graph.ranks[graph.nodes[index].rank].append(index)
    for index in order:
        for edge in outgoing[index]:
            _put_waypoints(graph, edge)


def _put_waypoints(graph: Graph, edge: Edge) -> None:
    first, last = graph.nodes[edge.source].rank, graph.nodes[edge.target].rank
    steps = range(first, last - 1, -1) if edge.back else range(first + 1, last)
    for each in steps:
        w, h = edge.room if edge.label and not edge.waypoints else (0.0, 0.0)
        waypoint = Node(w=w, h=h, enter=w / 2, leave=w / 2, waypoint=True, rank=each)
        index = graph.node(waypoint)
        edge.waypoints.append(index)
        row = graph.ranks[each]
        beside = row.index(edge.source) + 1 if edge.back and each == first else len(row)
        row.insert(beside, index)


def _outgoing(graph: Graph) -> list[list[Edge]]:
    found: list[list[Edge]] = [[] for _ in graph.nodes]
    for edge in graph.edges:
        found[edge.source].append(edge)
    return found


def _ordered(graph: Graph) -> list[int]:
    """Mark the edges that go back; return the nodes so that all others lead onwards."""
    outgoing = _outgoing(graph)
    done: list[int] = []
    seen: set[int] = set()
    on_way: set[int] = set()
    for start in range(len(graph.nodes)):
        stack = [(start, iter(_last_first(outgoing[start])))] if start not in seen else []
        seen.add(start)
        on_way.update([start] if stack else [])
        while stack:
            index, left = stack[-1]
            edge = next(left, None)
            if edge is None:
                on_way.discard(index)
                done.append(index)
                stack.pop()
            elif edge.target in on_way:
                edge.back = True
            elif edge.target not in seen:
                seen.add(edge.target)
                on_way.add(edge.target)
                stack.append((edge.target, iter(_last_first(outgoing[edge.target]))))
    return done[::-1]


def _last_first(edges: Sequence[Edge]) -> Sequence[Edge]:
    """The order is read backwards: what was visited last comes first."""
    return edges[::-1]
