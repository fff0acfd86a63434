"""How large a value of a run may become: expressions build on values without end.

Values share their parts, so a few tasks in a loop can make one that has no place as text, or that
nothing can read, since readers go one call deeper for each level.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, Final

MAX_LEVELS: Final = 100
MAX_SIZE: Final = 4 << 20
"""Characters of text and values, every one counted each time that it would be written."""


def excess(value: Any) -> str | None:
    """Return in what a value exceeds the limits, as `is nested more than ...`; None: in nothing."""
    size, levels = 0, 0
    level: list[Any] = [value]
    while level:
        objects = [each for each in level if isinstance(each, dict)]
        arrays = [each for each in level if isinstance(each, list)]
        size += len(level) + sum(len(each) for each in level if isinstance(each, str))
        size += sum(len(name) for each in objects for name in each)
        size += sum(len(each) for each in chain(objects, arrays))
        if size > MAX_SIZE:
            return f"is larger than {MAX_SIZE} bytes"
        levels += bool(objects or arrays)
        if levels > MAX_LEVELS:
            return f"is nested more than {MAX_LEVELS} levels deep"
        level = [each for one in objects for each in one.values()]
        level += [each for one in arrays for each in one]
    return None
