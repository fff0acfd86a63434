"""How commands print: data on stdout, talk on stderr, nothing that a terminal would obey.

What agents, callers and people wrote is shown as it is, except for characters that move the cursor,
change colours or turn the direction of text: those appear as their code.
"""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from parley_wire.showing import plain
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH: Final = 100
_STYLES: Final = {
    "running": "cyan",
    "waiting": "yellow",
    "completed": "green",
    "faulted": "red",
    "cancelled": "red",
    "ready": "yellow",
    "decided": "green",
    "up": "green",
    "unknown": "yellow",
    "down": "red",
}


def console(*, stderr: bool = False) -> Console:
    """Return a console at most `WIDTH` wide; as wide as that where there is no terminal."""
    stream = sys.stderr if stderr else sys.stdout
    width = min(WIDTH, shutil.get_terminal_size().columns) if stream.isatty() else WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False)


def narrow() -> bool:
    """Whether stdout has less room than `WIDTH`: tables then need another layout."""
    return console().width < WIDTH


def clean(value: object) -> str:
    """Return text that a terminal shows and does not obey."""
    return plain(str(value))


def text(value: object, style: str = "") -> Text:
    """Return `value` as rich text: cleaned, and never read as markup."""
    return Text(clean(value), style=style)


def state(value: str) -> Text:
    return text(value, _STYLES.get(value, ""))


def print_json(value: Any) -> None:
    """Print one JSON value; what a terminal would obey is escaped, so it stays valid JSON."""
    # Its own line breaks stay; in a text, they are escaped already.
    sys.stdout.write(plain(json.dumps(value, indent=2, ensure_ascii=False)) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Text]], *, empty: str) -> None:
    """Print rows under column titles; `empty` goes to stderr if there are none."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        # Identifiers are to be copied: they are never cut or broken.
        table.add_column(column, no_wrap=column.isupper(), overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*row)
        count += 1
    if count:
        console().print(table)
    else:
        console(stderr=True).print(text(empty))


def value_text(value: Any) -> str:
    """Return a JSON value on few lines: a text as it is, anything else as compact JSON."""
    return clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def moment(given: str) -> datetime:
    """Read a time of the API; the epoch if it is none."""
    try:
        return datetime.fromisoformat(given).astimezone(UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def age(given: str, now: datetime) -> str:
    """Return how long ago something was, in the largest unit that says it: `12 s`, `3 min`."""
    seconds = max(0, int((now - moment(given)).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def span(start: str, end: str) -> str:
    """Return how long something took, to the tenth of a second where that matters."""
    seconds = (moment(end) - moment(start)).total_seconds()
    return f"{seconds:.1f} s" if seconds < 60 else age(start, moment(end))


def short(digest: str, characters: int = 12) -> str:
    """Return enough of a digest to compare by eye."""
    return clean(digest.removeprefix("sha256:")[:characters])
