"""LangGraph with its SQLite saver, durability `sync`: a node for each step, a node for each answer."""

from __future__ import annotations

import asyncio
import contextlib
import operator
from importlib.metadata import version
from typing import Annotated, Any, ClassVar, TypedDict

from a2a_step import Agents, StepFailedError
from adapting import Adapter, Given, serve
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from notes import Notes


class State(TypedDict):
    case: Any
    question: dict[str, Any] | None
    failed: Annotated[list[str], operator.add]


class LangGraph(Adapter):
    """One graph for each run, recovered by invoking the unfinished threads again."""

    name: ClassVar[str] = f"LangGraph {version('langgraph')}, SQLite saver"
    can: ClassVar[tuple[str, ...]] = ("answer", "cancel", "fork")

    async def open(self, given: Given) -> None:
        self._stack = contextlib.AsyncExitStack()
        path = str(given.state / "checkpoints.db")
        self._saver = await self._stack.enter_async_context(AsyncSqliteSaver.from_conn_string(path))
        self._notes = Notes(given.state / "runs.json")
        self._agents = Agents()
        self._graphs: dict[str, Any] = {}
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        for run, noted in self._notes.runs.items():
            if noted.get("cancelled"):
                continue
            snapshot = await self._graph(run).aget_state(_config(run))
            if not snapshot.created_at:
                self._go(run, _first(noted["input"]))
            elif snapshot.next and not snapshot.interrupts and not _error(snapshot):
                self._go(run, None)

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._stack.aclose()

    async def start(self, run: str, pipeline: dict[str, Any], given: Any) -> None:
        if run in self._notes.runs:
            return
        self._notes.note(run, pipeline=pipeline, input=given)
        self._go(run, _first(given))

    async def look(self, run: str) -> dict[str, Any]:
        noted = self._notes.runs.get(run)
        if noted is None:
            return {"state": "unknown"}
        if noted.get("cancelled"):
            return {"state": "cancelled"}
        task = self._tasks.get(run)
        if task is not None and not task.done():
            return {"state": "running"}
        snapshot = await self._graph(run).aget_state(_config(run))
        if snapshot.interrupts:
            asks = [
                {
                    "id": each.id,
                    "kind": "input",
                    "step": each.value["step"],
                    "text": each.value["text"],
                }
                for each in snapshot.interrupts
            ]
            return {"state": "waiting", "asks": asks}
        if snapshot.next:
            failure = task.exception() if task is not None and not task.cancelled() else None
            return {"state": "failed", "reason": str(failure or _error(snapshot))}
        values = snapshot.values
        return {"state": "completed", "output": values["case"], "failed": values.get("failed", [])}

    async def over(self, run: str) -> dict[str, Any]:
        """Return the last look, once the run has ended or waits for a person."""
        await asyncio.wait({self._tasks[run]})
        return await self.look(run)

    async def answer(self, run: str, ask: str, text: str) -> None:
        self._go(run, Command(resume={ask: text}))

    async def cancel(self, run: str) -> None:
        self._notes.note(run, cancelled=True)
        task = self._tasks.get(run)
        if task is not None:
            task.cancel()

    def _go(self, run: str, given: Any) -> None:
        work = self._graph(run).ainvoke(given, _config(run), durability="sync")
        self._tasks[run] = asyncio.create_task(work)
        self._tasks[run].add_done_callback(lambda done: done.cancelled() or done.exception())

    def _graph(self, run: str) -> Any:
        if run not in self._graphs:
            noted = self._notes.runs[run]
            self._graphs[run] = self._build(run, noted["pipeline"], noted["input"])
        return self._graphs[run]

    def _build(self, run: str, pipeline: dict[str, Any], given: Any) -> Any:
        graph = StateGraph(State)
        before: list[str] = [START]
        after_fork = False
        for stage in pipeline["stages"]:
            steps = stage["steps"]
            collect = stage.get("failures") == "collect"
            many = len(steps) > 1
            names = []
            for step in steps:
                name = step["name"]
                names.append(name)
                node = self._node(
                    run, step, given if after_fork else None, collect=collect, many=many
                )
                graph.add_node(name, node)
                if not many:
                    graph.add_node(f"{name}-answered", self._answered(run, step))
            self._lead(graph, before, names)
            before, after_fork = names, many
        self._lead(graph, before, [END])
        return graph.compile(checkpointer=self._saver)

    def _lead(self, graph: Any, before: list[str], following: list[str]) -> None:
        """Go on, or to the node that has a person answer."""
        asked = f"{before[0]}-answered"
        if len(before) > 1 or asked not in graph.nodes:
            for name in following:
                graph.add_edge(before if len(before) > 1 else before[0], name)
            return
        for source in (before[0], asked):
            graph.add_conditional_edges(
                source,
                lambda state: [asked] if state.get("question") else following,
                [asked, *following],
            )

    def _node(
        self, run: str, step: dict[str, Any], given: Any, *, collect: bool, many: bool
    ) -> Any:
        async def perform(state: State) -> dict[str, Any]:
            data = (state["case"] if given is None else given) | step.get("with", {})
            try:
                told = await self._agents.perform(step, data, key=f"{run}-{step['name']}")
            except (StepFailedError, TimeoutError):
                if collect:
                    return {"failed": [step["name"]]}
                raise
            if many:
                return {}
            return {"case": told.get("output", state["case"]), "question": told.get("question")}

        return perform

    def _answered(self, run: str, step: dict[str, Any]) -> Any:
        async def ask(state: State) -> dict[str, Any]:
            question = state["question"] or {}
            text = interrupt({"step": step["name"], "text": question["text"]})
            key = f"{run}-{step['name']}-{question['task']}-{text}"
            told = await self._agents.perform(step, text, key=key, task=question)
            return {"case": told.get("output", state["case"]), "question": told.get("question")}

        return ask


def _first(given: Any) -> dict[str, Any]:
    return {"case": given, "question": None, "failed": []}


def _config(run: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": run}, "recursion_limit": 1000}


def _error(snapshot: Any) -> str:
    return next((str(task.error) for task in snapshot.tasks if task.error), "")


ADAPTER = LangGraph

if __name__ == "__main__":
    serve(ADAPTER())
