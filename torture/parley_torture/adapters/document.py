"""A pipeline of the kit as a document of the workflow language."""

from __future__ import annotations

import json
from typing import Any


def document(pipeline: dict[str, Any]) -> str:
    """Return the workflow in JSON; its output is `{output, failed}`."""
    stages = pipeline["stages"]
    tasks = []
    feeds = "${ . }"
    for number, stage in enumerate(stages, start=1):
        steps = stage["steps"]
        if len(steps) == 1 and stage["failures"] == "stop":
            tasks.append(_call(steps[0], feeds))
            feeds = "${ . }"
        else:
            tasks.append(_fork(f"stage-{number}", stage, feeds))
            feeds = "${ $workflow.input }"
    return json.dumps(
        {
            "document": {
                "dsl": "1.0.3",
                "namespace": "torture",
                "name": pipeline["name"],
                "version": "1.0.0",
            },
            "do": tasks,
            "output": {"as": "${ {output: ., failed: ($context.failed // [])} }"},
        }
    )


def _call(step: dict[str, Any], feeds: str) -> dict[str, Any]:
    given = feeds
    if step.get("with"):
        given = f"${{ {feeds[3:-2]} + {json.dumps(step['with'])} }}"
    task: dict[str, Any] = {
        "metadata": {"label": f"Step {step['name']}"},
        "call": f"{step['skill']}:1.0.0@agents",
        "with": given,
        "timeout": {"after": {"milliseconds": int(step["deadline_s"] * 1000)}},
    }
    if "output_schema" in step:
        task["output"] = {"schema": {"document": step["output_schema"]}}
    return {step["name"]: task}


def _fork(name: str, stage: dict[str, Any], feeds: str) -> dict[str, Any]:
    collects = stage["failures"] == "collect"
    branches = [_collected(s, feeds) if collects else _call(s, feeds) for s in stage["steps"]]
    task: dict[str, Any] = {"metadata": {"label": name}, "fork": {"branches": branches}}
    if collects:
        kept = "${ {failed: (($context.failed // []) + [.[] | .failedStep // empty])} }"
        task["export"] = {"as": kept}
    return {name: task}


def _collected(step: dict[str, Any], feeds: str) -> dict[str, Any]:
    """Return a branch that tells its failure instead of failing."""
    name = step["name"]
    tells = {"metadata": {"label": f"Note {name}"}, "set": {"failedStep": name}}
    return {
        f"{name}-branch": {
            "metadata": {"label": f"Branch {name}"},
            "try": [_call(step, feeds)],
            "catch": {"do": [{f"{name}-failed": tells}]},
        }
    }
