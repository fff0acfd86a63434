"""A document as a picture: every task has its shape, every way its line, and nothing is in the way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parley_coordinator.workflow.diagram import STYLE, diagram
from parley_coordinator.workflow.diagram.drawing import draw
from parley_coordinator.workflow.diagram.lettering import width, wrap
from parley_coordinator.workflow.diagram.routing import Point
from parley_coordinator.workflow.diagram.shapes import Drawing
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.outline import outline

from tests.coordinator.workflow.documents import (
    HERE,
    INVOICE,
    document,
    every_kind,
    invoice_exception,
    task_lists,
)

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = {"svg", "title", "desc", "style", "rect", "g", "path", "text", "circle"}
ATTRIBUTES = {
    *("class", "role", "width", "height", "viewBox", "aria-labelledby", "id", "d", "transform"),
    *("rx", "x", "y", "font-size", "text-anchor", "data-path", "data-from", "data-to"),
    *("cx", "cy", "r"),
}


def parsed(of: Document) -> ET.Element:
    return ET.fromstring(diagram(of))  # noqa: S314 - written by the function under test


def ways(of: Document) -> set[tuple[str, str, str]]:
    """(from, to, style) of every line; ends that are no task are `start`, `end`, `exit` ..."""
    return {
        (last(way.attrib["data-from"]), last(way.attrib["data-to"]), way.attrib["class"][4:])
        for way in parsed(of).iter(f"{SVG}path")
        if "data-from" in way.attrib
    }


def last(path: str) -> str:
    return path.rpartition("/")[2]


def shapes(of: Document) -> list[str]:
    return [each.attrib["data-path"] for each in parsed(of).iter() if "data-path" in each.attrib]


@pytest.mark.parametrize("of", [every_kind(), invoice_exception()], ids=lambda each: each.name)
def test_each_task_has_one_shape(of: Document) -> None:
    tasks = [
        entry.path for entry in outline(of).walk() if entry.kind not in ("case", "retry", "handler")
    ]

    assert sorted(shapes(of)) == sorted(tasks)


def test_success_of_a_try_leads_on_and_its_error_to_the_handler() -> None:
    found = ways(invoice_exception())

    assert ("approval", "exit", "flow") in found
    assert ("approval", "escalation", "error") in found
    assert ("escalation", "exit", "error") in found
    assert ("ask", "obey", "flow") in found
    assert not any(source == "escalation" and target == "obey" for source, target, _ in found)


def test_an_error_of_several_tasks_leaves_their_frame() -> None:
    found = ways(every_kind())

    assert ("attempt", "exit", "flow") in found
    assert ("attempt", "refund", "error") in found
    assert ("refund", "release", "error") in found
    assert [target for source, target, _ in found if source == "giveUp"] == []
    assert ("deliver", "bill", "flow") in found


def test_cases_jump_on_and_back_and_end_the_workflow() -> None:
    found = ways(every_kind())

    targets = {target for source, target, _ in found if source == "enough"}
    assert targets == {"deliver", "refuse", "wish", "agree"}
    assert {target for source, target, _ in found if source == "heard"} == {"exit", "pause", "end"}
    assert ("pause", "ask", "flow") in found
    assert ("tell", "end", "flow") in found
    assert ("tell", "refuse", "flow") not in found


def test_branches_part_at_a_bar_and_join_at_one() -> None:
    found = ways(invoice_exception())

    for branch in ("order", "receipts", "supplier"):
        assert ("fork", branch, "flow") in found
        assert (branch, "fork", "flow") in found


def test_loops_and_retries_lead_back() -> None:
    again = [
        each.attrib["class"]
        for each in parsed(every_kind()).iter(f"{SVG}path")
        if "again" in each.attrib.get("class", "")
    ]

    assert sorted(again) == ["way again error", "way again flow", "way again flow"]


def test_edges_of_a_choice_have_the_names_of_its_cases() -> None:
    labels = {
        "".join(each.itertext()).strip()
        for group in parsed(invoice_exception()).iter(f"{SVG}g")
        if group.attrib.get("class", "").startswith("label")
        for each in group.iter(f"{SVG}text")
    }

    assert labels == {
        *("Within policy", "Needs approval", "On hold", "In case of a timeout"),
        *("Approved", "Rejected"),
    }


def test_people_are_told_by_a_word_and_a_glyph_too() -> None:
    (person,) = (
        each
        for each in parsed(invoice_exception()).iter(f"{SVG}g")
        if each.attrib.get("data-path", "").endswith("/approval")
    )

    assert "k-person" in person.attrib["class"]
    assert next(each.text for each in person.iter(f"{SVG}text")) == "Person"
    assert any(each.attrib["class"] == "glyph" for each in person.iter(f"{SVG}path"))


def test_a_reader_that_does_not_see_is_told_what_it_is() -> None:
    root = parsed(invoice_exception())
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")

    assert root.attrib["role"] == "img"
    assert title is not None
    assert description is not None
    assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
    assert title.text == "Invoice exception"
    assert "People act in: Approve or reject the invoice; Decide" in str(description.text)


def test_light_and_dark_have_the_same_colours_to_set() -> None:
    light, _, dark = STYLE.partition("@media (prefers-color-scheme:dark)")
    dark = dark.partition("}}")[0]

    def names(css: str) -> set[str]:
        return {
            each.partition(":")[0] for each in css.rpartition("{")[2].split(";") if "--" in each
        }

    assert names(light.partition("font-family")[0]) == names(dark) != set()


def test_the_same_document_gives_the_same_bytes_in_every_process() -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from parley_coordinator.workflow.document import load_document;"
        "from parley_coordinator.workflow.diagram import diagram;"
        "sys.stdout.write(diagram(load_document(Path(sys.argv[1]).read_bytes(), source='x')))"
    )
    for path, of in ((HERE / "every-kind.yaml", every_kind()), (INVOICE, invoice_exception())):
        drawn = {
            subprocess.run(
                [sys.executable, "-c", code, str(path)],
                env=os.environ | {"PYTHONHASHSEED": seed},
                capture_output=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert drawn == {diagram(of).encode()}


def test_two_hundred_tasks_are_drawn_in_seconds() -> None:
    chain = [{f"t{n}": {"set": {"a": n}}} for n in range(199)]
    cases = [{f"c{n}": {"when": ".a", "then": f"t{n}"}} for n in range(199)]
    large = document([{"choose": {"switch": cases}}, *chain])

    before = time.process_time()
    found = shapes(large)

    assert len(found) == 200
    assert time.process_time() - before < 20


@given(st.text(max_size=300), st.text(max_size=40))
@settings(max_examples=150, deadline=None)
def test_whatever_a_label_holds_the_picture_is_well_formed_and_inert(
    label: str, literal: str
) -> None:
    do: list[dict[str, Any]] = [
        {"a": {"metadata": {"label": label}, "set": {literal: label}}},
        {"b": {"switch": [{"c": {"when": label or ".", "then": "continue"}}]}},
        {"d": {"emit": {"event": {"with": {"type": literal, "source": label}}}}},
    ]
    try:
        hostile = document(do, document={"title": label, "summary": label})
    except ValueError:
        return  # no canonical form

    root = parsed(hostile)

    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= DRAWN
    assert {name for each in root.iter() for name in each.attrib} <= ATTRIBUTES
    assert [each.text for each in root.iter(f"{SVG}style")] == [STYLE]


@pytest.mark.parametrize(
    "label",
    [
        "</text><script>alert(1)</script>",
        '" onload="alert(1)',
        "]]><!--",
        "<![CDATA[",
        "&#0; &bad;",
        "\u202eevil\u0000\ud7ff\uffff",
    ],
)
def test_a_label_stays_text(label: str) -> None:
    root = parsed(document([{"a": {"metadata": {"label": label}, "set": {"a": 1}}}]))

    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= DRAWN
    assert {name for each in root.iter() for name in each.attrib} <= ATTRIBUTES


@given(task_lists(depth=1))
@settings(max_examples=60, deadline=None)
def test_shapes_stay_apart_and_no_line_goes_through_one(do: list[dict[str, Any]]) -> None:
    of = document(do)

    for drawing in _nested(draw(of.tasks, outline(of))):
        boxes = [
            (node.x, node.y, node.x + node.w, node.y + node.h)
            for shape, node in drawing.shapes
            if shape.form != "point"
        ]
        labels = [
            (node.x, node.y, node.x + node.w, node.y + node.h)
            for route in drawing.routes
            if route.edge.label
            for node in [drawing.graph.nodes[route.edge.waypoints[0]]]
        ]
        everything = [*boxes, *labels]
        for at, one in enumerate(everything):
            assert 0 <= one[0] <= one[2] <= drawing.w + 0.1
            assert not any(_overlap(one, other) for other in everything[:at])
        for route in drawing.routes:
            for segment in pairwise(route.points):
                assert segment[0][0] == segment[1][0] or segment[0][1] == segment[1][1]
                assert not any(_through(segment, box) for box in boxes)


@given(task_lists(depth=1))
@settings(max_examples=40, deadline=None)
def test_lines_that_have_no_end_in_common_never_lie_on_each_other(
    do: list[dict[str, Any]],
) -> None:
    of = document(do)

    for drawing in _nested(draw(of.tasks, outline(of))):
        segments = [
            (route.edge, segment) for route in drawing.routes for segment in pairwise(route.points)
        ]
        for at, (edge, segment) in enumerate(segments):
            for other, its in segments[:at]:
                if edge.source != other.source and edge.target != other.target:
                    assert _shared(segment, its) < 1


@given(st.text(max_size=200), st.integers(20, 300))
def test_wrapped_lines_have_room(text: str, room: int) -> None:
    lines = wrap(text, room, 12.0, most=3)

    assert len(lines) <= 3
    assert all(width(line, 12.0) <= room or len(line) == 1 for line in lines)


Box = tuple[float, float, float, float]


def _nested(drawing: Drawing) -> Iterator[Drawing]:
    yield drawing
    for shape, _ in drawing.shapes:
        if shape.inner is not None:
            yield from _nested(shape.inner)


def _overlap(one: Box, other: Box) -> bool:
    return (
        one[0] < other[2] - 0.1
        and other[0] < one[2] - 0.1
        and one[1] < other[3] - 0.1
        and other[1] < one[3] - 0.1
    )


def _through(segment: tuple[Point, Point], box: Box) -> bool:
    (ax, ay), (bx, by) = segment
    inside = (min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))
    return (
        inside[0] < box[2] - 0.6
        and box[0] + 0.6 < inside[2]
        and inside[1] < box[3] - 0.6
        and box[1] + 0.6 < inside[3]
    )


def _shared(one: tuple[Point, Point], other: tuple[Point, Point]) -> float:
    """Return how long the part is that two segments have in common."""
    for across, along in ((0, 1), (1, 0)):
        if len({point[across] for point in (*one, *other)}) == 1:
            start = max(min(p[along] for p in one), min(p[along] for p in other))
            end = min(max(p[along] for p in one), max(p[along] for p in other))
            return end - start
    return 0.0
