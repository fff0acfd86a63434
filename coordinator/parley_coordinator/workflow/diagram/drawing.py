"""A document as nested drawings: one for each list of tasks, with its jumps, branches and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parley_coordinator.workflow.diagram.frames import frame, plain_frame
from parley_coordinator.workflow.diagram.graph import Edge, Style
from parley_coordinator.workflow.diagram.leaves import bar, box, diamond, pill, point
from parley_coordinator.workflow.diagram.lettering import LEAD, width, wrap
from parley_coordinator.workflow.diagram.shapes import Drawing, Shape, Sketch
from parley_coordinator.workflow.findings import escape
from parley_coordinator.workflow.tasks import (
    CONTINUE,
    END,
    EXIT,
    DoTask,
    ForkTask,
    ForTask,
    ListenTask,
    NamedTask,
    RaiseTask,
    SwitchTask,
    TaskList,
    TryTask,
)

if TYPE_CHECKING:
    from parley_coordinator.workflow.outline import Entry, Outline

LABEL: Final = 11.5
"""Size of the letters of a label."""
_ROOM: Final = 132.0
_MARGIN: Final = 6.0
_SPINE: Final = 60.0
"""What goes well is drawn straight ..."""
_ASIDE: Final = 0.3
"""... and what does not, beside it."""
_ERROR_PORT: Final = 0.84
"""Where an error leaves a shape: that much of its width from the left."""


def draw(tasks: TaskList, outline: Outline) -> Drawing:
    """Draw the tasks of a document from its start to its end."""
    artist = _Artist({entry.path: entry for entry in outline.walk()})
    sketch = Sketch()
    start = sketch.add(pill("start", "Start", outline.start.removeprefix("Starts ")))
    until = f"{outline.deadline} at the latest" if outline.deadline else ""
    end = sketch.add(pill("end", "End", until), last=True)
    artist.tasks(sketch, tasks, "/do", [Edge(source=start, target=0)], _Ends(sketch, end, end))
    return sketch.drawn()


@dataclass(slots=True)
class _Ends:
    """Where a list leads, apart from its own tasks; made when something leads there."""

    sketch: Sketch
    out: int | None = None
    """The list is left."""
    over: int | None = None
    """The workflow ends."""

    def index(self, directive: str) -> int:
        if directive == END:
            if self.over is None:
                self.over = self.sketch.add(pill("end", "End"))
            return self.over
        if self.out is None:
            self.out = self.sketch.add(point("exit"), last=True)
        return self.out


@dataclass(frozen=True, slots=True)
class _Way:
    """How a task can end."""

    then: str
    label: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Artist:
    entries: Mapping[str, Entry]

    def tasks(
        self,
        sketch: Sketch,
        tasks: TaskList,
        path: str,
        ways_in: list[Edge],
        ends: _Ends,
        *,
        style: Style = "flow",
    ) -> None:
        """Add a list to a sketch; the edges in `ways_in` get its first task as their target."""
        paths = [f"{path}/{index}/{escape(named.name)}" for index, named in enumerate(tasks)]
        shapes = [self.shape(named, at) for named, at in zip(tasks, paths, strict=True)]
        indexes = [sketch.add(shape) for shape in shapes]
        for edge in ways_in:
            edge.target = indexes[0]
            sketch.join(edge)
        by_name = {named.name: index for named, index in zip(tasks, indexes, strict=True)}
        for place, named in enumerate(tasks):
            for way in _ways(named, self.entries[paths[place]], shapes[place]):
                if way.then == CONTINUE and place + 1 < len(tasks):
                    target = indexes[place + 1]
                elif way.then in by_name:
                    target = by_name[way.then]
                else:
                    target = ends.index(END if way.then == END else EXIT)
                sketch.join(_edge(indexes[place], target, way.label, way.hint, style))

    def shape(self, named: NamedTask, path: str) -> Shape:
        task, entry = named.task, self.entries[path]
        match task:
            case SwitchTask():
                return diamond(entry)
            case DoTask():
                return frame(entry, self._list(task.do, f"{path}/do"))
            case ForTask():
                return frame(entry, self._list(task.do, f"{path}/do"), again="flow")
            case ListenTask() if task.foreach is not None and task.foreach.do is not None:
                inner = self._list(task.foreach.do, f"{path}/foreach/do")
                return frame(entry, inner, again="flow")
            case ForkTask():
                return frame(entry, self._fork(task.fork.branches, f"{path}/fork/branches"))
            case TryTask():
                return self._try(task, entry)
        shape = box(entry)
        shape.goes_on = not isinstance(task, RaiseTask) or task.if_ is not None
        return shape

    def _list(self, tasks: TaskList, path: str) -> Drawing:
        sketch = Sketch()
        entry = sketch.add(point("entry"))
        self.tasks(sketch, tasks, path, [Edge(source=entry, target=0)], _Ends(sketch))
        return sketch.drawn()

    def _fork(self, branches: TaskList, path: str) -> Drawing:
        shapes = [
            self.shape(named, f"{path}/{index}/{escape(named.name)}")
            for index, named in enumerate(branches)
        ]
        sketch = Sketch()
        entry, parting = sketch.add(point("entry")), sketch.add(bar())
        sketch.join(Edge(source=entry, target=parting))
        indexes = [sketch.add(shape) for shape in shapes]
        for index in indexes:
            sketch.join(Edge(source=parting, target=index))
        if any(shape.goes_on for shape in shapes):
            joining = sketch.add(bar())
            for index, shape in zip(indexes, shapes, strict=True):
                if shape.goes_on:
                    sketch.join(Edge(source=index, target=joining))
            sketch.join(Edge(source=joining, target=sketch.add(point("exit"), last=True)))
        return sketch.drawn()

    def _try(self, task: TryTask, entry: Entry) -> Shape:
        retry = next((each for each in entry.children if each.kind == "retry"), None)
        handler = next((each for each in entry.children if each.kind == "handler"), None)
        again: Style | None = None if retry is None else "error"
        notes = [] if retry is None else [f"{retry.text}: {retry.does}"]
        tried = f"{entry.path}/try"
        if handler is None:
            return frame(entry, self._list(task.try_, tried), again=again, notes=notes)
        if len(task.try_) == 1 and retry is None:
            body = self.shape(task.try_[0], f"{tried}/0/{escape(task.try_[0].name)}")
        else:
            body = plain_frame(self._list(task.try_, tried), again=again)
        sketch = Sketch()
        start, attempt = sketch.add(point("entry")), sketch.add(body)
        ends = _Ends(sketch)
        sketch.join(Edge(source=start, target=attempt, weight=_SPINE))
        if body.goes_on:
            out = ends.index(EXIT)
            sketch.join(Edge(source=attempt, target=out, weight=_SPINE))
        failed = _edge(attempt, 0, handler.text, "", "error")
        failed.leave = body.w * _ERROR_PORT
        if task.catch.do is None:
            failed.target = ends.index(EXIT)
            sketch.join(failed)
        else:
            path = f"{entry.path}/catch/do"
            self.tasks(sketch, task.catch.do, path, [failed], ends, style="error")
        return frame(entry, sketch.drawn(), notes=notes)


def _ways(named: NamedTask, entry: Entry, shape: Shape) -> Iterator[_Way]:
    task = named.task
    if isinstance(task, SwitchTask):
        for each, said in zip(task.switch, entry.children, strict=True):
            yield _Way(each.case.then, said.text, said.condition)
        if all(each.case.when is not None for each in task.switch):
            yield _Way(task.then, "Otherwise")
    elif shape.goes_on:
        yield _Way(task.then, "Otherwise" if isinstance(task, RaiseTask) else "")


def _edge(source: int, target: int, label: str, hint: str, style: Style) -> Edge:
    lines = wrap(label, _ROOM, LABEL, most=3) if label else ()
    room = (
        max((width(line, LABEL) for line in lines), default=-2 * _MARGIN) + 2 * _MARGIN,
        len(lines) * LABEL * LEAD + (4 if lines else 0),
    )
    weight = 1.0 if style == "flow" else _ASIDE
    return Edge(
        source=source,
        target=target,
        style=style,
        label=lines,
        hint=f"{label}: {hint}" if hint else label,
        room=room,
        weight=weight,
    )
