"""What a model says against a value of a YAML text, as findings at their line and column."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from parley_coordinator.workflow.findings import (
    MAX_CORRECTED,
    MAX_FINDINGS,
    Finding,
    Positions,
    escape,
)


def model_findings(
    error: ValidationError,
    positions: Positions,
    *,
    keys: Collection[str],
    later: Collection[str] = (),
    choice: str = "a name or an object",
) -> list[Finding]:
    """Return every reason for which a model refused a value; of very many, those that are shown.

    Args:
        keys: What a key that is not known may have been meant as.
        later: Keys that are known, and refused on purpose.
        choice: What a value must be where there is a choice.
    """
    found = error.errors(include_url=False)[: MAX_FINDINGS + 1]
    return [
        _finding(each, positions, keys if number < MAX_CORRECTED else (), later, choice)
        for number, each in enumerate(found)
    ]


def _finding(
    error: ErrorDetails,
    positions: Positions,
    keys: Collection[str],
    later: Collection[str],
    choice: str,
) -> Finding:
    path, last = _pointer(error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    if "said" in context:
        step = context["step"]
        return positions.finding(path + step, kind, context["said"], context["fix"])
    match kind:
        case "extra_forbidden" if last in later:
            message = f"`{last}` is not in the profile"
            return positions.finding(path, "not-in-profile", message, f"remove {last!r}", key=True)
        case "extra_forbidden":
            close = difflib.get_close_matches(last, keys, n=1)
            fix = f"did you mean {close[0]!r}?" if close and close[0] != last else "remove it"
            message = f"there is no key {last[:60]!r} here"
            return positions.finding(path, "unknown-key", message, fix, key=True)
        case "missing":
            parent = path.rpartition("/")[0]
            message = f"the key {last!r} is missing"
            return positions.finding(parent, "missing-key", message, f"add {last!r}")
        case "union_tag_not_found" | "union_tag_invalid":
            message = f"{last!r} must be {choice}"
            return positions.finding(path, "type", message, "correct the value")
        case "string_pattern_mismatch":
            message = f"{last!r} must match {context['pattern']}"
            return positions.finding(path, "value", message, "correct the value")
    said = error["msg"][:1].lower() + error["msg"][1:]
    return positions.finding(path, "value", f"{last!r}: {said}", "correct the value")


def _pointer(loc: tuple[int | str, ...]) -> tuple[str, str]:
    """Return the JSON pointer of a pydantic location, and the last name in it.

    Tags of unions (`<call>`) and the marker of a map's key (`[key]`) are no steps.
    """
    steps = [step for step in loc if not (isinstance(step, str) and step[:1] in "<[")]
    names = [step for step in steps if isinstance(step, str)]
    return "".join(f"/{escape(step)}" for step in steps), names[-1] if names else ""
