"""What an adapter has to remember of its runs for itself, in one file that survives SIGKILL."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Notes:
    """A JSON object per run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.runs: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}

    def note(self, run: str, **facts: Any) -> None:
        self.runs.setdefault(run, {}).update(facts)
        new = self._path.with_suffix(".new")
        with new.open("w") as file:
            json.dump(self.runs, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)


def last_object(text: str) -> Any:
    """Return the last JSON object in a text; None if there is none."""
    decoder, found, at = json.JSONDecoder(), None, 0
    while (at := text.find("{", at)) != -1:
        try:
            found, at = decoder.raw_decode(text, at)
        except ValueError:
            at += 1
    return found
