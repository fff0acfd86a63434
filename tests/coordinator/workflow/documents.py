"""Documents for the readers' tests: one with every kind of task, and arbitrary ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from parley_coordinator.workflow.document import Document, load_document

HERE = Path(__file__).parent
INVOICE = HERE.parents[2] / "workflows" / "invoice-exception" / "workflow.yaml"


def every_kind() -> Document:
    return loaded(HERE / "every-kind.yaml")


def invoice_exception() -> Document:
    return loaded(INVOICE)


def loaded(path: Path) -> Document:
    return load_document(path.read_bytes(), source=path.name)


def document(do: list[dict[str, Any]], **more: Any) -> Document:
    head = {"dsl": "1.0.3", "namespace": "tests", "name": "drawn", "version": "1.0.0"}
    return Document.from_json({"document": head | more.pop("document", {}), "do": do} | more)


def task_lists(*, depth: int = 2) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Lists of tasks that have the shape of the profile, with jumps to anywhere."""
    return st.integers(1, 6).flatmap(lambda count: _list(count, depth))


def _list(count: int, depth: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    names = [f"t{index}" for index in range(count)]
    task = _task(st.sampled_from([*names, "continue", "exit", "end"]), depth)
    return st.tuples(*(task for _ in names)).map(
        lambda tasks: [{name: each} for name, each in zip(names, tasks, strict=True)]
    )


def _task(then: st.SearchStrategy[str], depth: int) -> st.SearchStrategy[dict[str, Any]]:
    plain: list[st.SearchStrategy[dict[str, Any]]] = [
        st.builds(lambda to: {"set": {"a": 1}, "then": to}, then),
        st.builds(_switch, st.lists(then, min_size=1, max_size=3), then),
        st.just({"raise": {"error": "broken"}}),
        st.builds(lambda to: {"wait": {"seconds": 1}, "if": ".a", "then": to}, then),
    ]
    if depth:
        inner = task_lists(depth=depth - 1)
        plain += [
            st.builds(lambda do: {"do": do}, inner),
            st.builds(lambda do: {"for": {"in": ".a"}, "do": do}, inner),
            st.builds(lambda do: {"fork": {"branches": do}}, inner),
            st.builds(lambda a, do: {"try": a, "catch": {"do": do}}, inner, inner),
            st.builds(lambda do: {"try": do, "catch": {"retry": "often"}}, inner),
        ]
    return st.one_of(plain)


def _switch(targets: list[str], then: str) -> dict[str, Any]:
    cases = [{f"c{index}": {"when": ".a", "then": to}} for index, to in enumerate(targets)]
    return {"switch": cases, "then": then}
