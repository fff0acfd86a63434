"""A document as a picture: SVG of our own drawing, readable in the light and in the dark.

The outline says the same in words; who cannot see the picture reads that.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from parley_coordinator.errors import DiagramTooLargeError
from parley_coordinator.workflow.checks.sites import lists_of
from parley_coordinator.workflow.diagram.drawing import draw
from parley_coordinator.workflow.diagram.leaves import NAMES
from parley_coordinator.workflow.diagram.lettering import width, wrap
from parley_coordinator.workflow.diagram.shapes import Text
from parley_coordinator.workflow.diagram.style import FAMILY, STYLE
from parley_coordinator.workflow.diagram.svg import drawing_svg, glyph_svg, text_svg
from parley_coordinator.workflow.flow import directives
from parley_coordinator.workflow.outline import outline

if TYPE_CHECKING:
    from parley_coordinator.workflow.document import Document
    from parley_coordinator.workflow.outline import Outline
    from parley_coordinator.workflow.tasks import TaskList

__all__ = ["STYLE", "diagram"]

_MARGIN: Final = 24.0
_LEAST: Final = 460.0
_TITLE: Final = 19.0
_SMALL: Final = 12.0
_LEGEND_ROW: Final = 26.0
_ERROR_LINE: Final = "After an error"


MAX_BOXES: Final = 400
MAX_EDGES: Final = 800


def diagram(document: Document) -> str:
    """Draw a document.

    Returns:
        An SVG element of its own size, without a declaration; the same document gives the same text.

    Raises:
        DiagramTooLargeError: Before anything is drawn.
    """
    boxes, edges = _extent(document.tasks)
    if boxes > MAX_BOXES or edges > MAX_EDGES:
        raise DiagramTooLargeError(
            f"{document.name} has {boxes} tasks and {edges} ways between them, and a diagram shows"
            f" {MAX_BOXES} and {MAX_EDGES}; read its outline, or split the workflow",
            tasks=boxes,
            ways=edges,
        )
    said = outline(document)
    drawing = draw(document.tasks, said)
    w = max(drawing.w, _LEAST) + 2 * _MARGIN
    head, top = _head(said, w)
    legend, h = _legend(said, w, top + drawing.h + 2 * _MARGIN)
    left = (w - drawing.w) / 2
    size = f'width="{w:.0f}" height="{h:.0f}" viewBox="0 0 {w:.0f} {h:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flow-chart" role="img" {size}'
        ' aria-labelledby="flow-chart-title flow-chart-description">',
        f'<title id="flow-chart-title">{escape(said.title)}</title>',
        f'<desc id="flow-chart-description">{escape(_description(said))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{w:.0f}" height="{h:.0f}"/>',
        *head,
        *drawing_svg(drawing, left, top),
        *legend,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _extent(tasks: TaskList) -> tuple[int, int]:
    """Return how many tasks there are, at any depth, and how many ways lead from one to another."""
    boxes = edges = 0
    open_ = [named.task for named in tasks]
    while open_:
        task = open_.pop()
        boxes += 1
        edges += len(directives(task))
        open_ += [named.task for _slot, inside in lists_of(task) for named in inside]
    return boxes, edges


def _head(said: Outline, w: float) -> tuple[list[str], float]:
    """Return the title, and where the drawing begins below it."""
    lines = wrap(said.title, w - 2 * _MARGIN, _TITLE, bold=True, most=3)
    y = _MARGIN + _TITLE * 0.9
    title = Text(lines, _MARGIN, y, "title", _TITLE)
    y += (len(lines) - 1) * _TITLE * 1.32 + 20
    name = f"{said.namespace}/{said.name} {said.version}"
    about = Text((f"{name} · {said.digest[:19]}",), _MARGIN, y, "small", _SMALL)
    return [*text_svg(title), *text_svg(about)], y + 26


def _legend(said: Outline, w: float, y: float) -> tuple[list[str], float]:
    """Return the signs that are used, in rows, and where the picture ends below them."""
    used = {entry.kind for entry in said.walk()}
    signs = [kind for kind in NAMES if kind in used]
    found = [f'<path class="head" d="M{_MARGIN:.0f} {y - 14:.0f}H{w - _MARGIN:.0f}"/>']
    x = _MARGIN
    for sign in [*signs, *(["error"] if used & {"retry", "handler"} else [])]:
        name = NAMES.get(sign, _ERROR_LINE)
        room = 25 + width(name, _SMALL) + 22
        if x + room > w - _MARGIN and x > _MARGIN:
            x, y = _MARGIN, y + _LEGEND_ROW
        found.append(f'<g class="k-{FAMILY.get(sign, sign)}">')
        if sign == "error":
            found.append(f'<path class="way error" d="M{x:.1f} {y + 8:.1f}h19"/>')
        else:
            found.append(glyph_svg(sign, x, y))
        found += [*text_svg(Text((name,), x + 26, y + 12, "sub", _SMALL)), "</g>"]
        x += room
    return found, y + _LEGEND_ROW + 8


def _description(said: Outline) -> str:
    steps = sum(1 for entry in said.walk() if entry.kind in NAMES)
    people = [entry.text for entry in said.walk() if entry.kind == "person"]
    text = f"Flow chart of {steps} steps. {said.summary}"
    if people:
        text += f" People act in: {'; '.join(people)}."
    return text + " The outline of the workflow says the same in words."
