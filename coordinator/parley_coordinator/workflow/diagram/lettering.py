"""How much room text takes, without asking a font: approximate widths, and breaking into lines."""

from __future__ import annotations

import unicodedata
from typing import Final

_WIDTHS: Final = {
    192: "'ijl|",
    278: " !,./:;[]\\fIt",
    340: '()-`r{}"',
    500: "*^Jckszvxy",
    556: "#$?_0123456789abdeghnopquL+<=>~",
    667: "&ABEKPSVXYFTZ",
    722: "CDHNRUw",
    778: "GOQ",
    850: "mM%",
    1000: "@W",
}
"""Thousandths of the size of a letter, for a sans-serif such as Helvetica."""
_BY_LETTER: Final = {letter: width for width, letters in _WIDTHS.items() for letter in letters}
_OTHER: Final = 600
_WIDE: Final = 1000
_SLACK: Final = 1.06
"""Fonts differ; a little air is better than cut text."""
_BOLD: Final = 1.07
LEAD: Final = 1.32
"""From line to line, in sizes of the letters."""
MORE: Final = "…"


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Return about how wide a line is, in the unit of `size`."""
    thousandths = sum(_letter(letter) for letter in text)
    return thousandths * size * _SLACK * (_BOLD if bold else 1.0) / 1000


def wrap(
    text: str, room: float, size: float, *, bold: bool = False, most: int = 4
) -> tuple[str, ...]:
    """Break text into at most `most` lines no wider than `room`; what is left out shows as `…`."""
    lines: list[str] = []
    current = ""
    for word in _pieces(text, room, size, bold=bold):
        joined = f"{current} {word}" if current else word
        if current and width(joined, size, bold=bold) > room:
            lines.append(current)
            current = word
        else:
            current = joined
        if len(lines) > most:
            break
    lines.append(current)
    if len(lines) > most:
        lines = [*lines[: most - 1], _cut(lines[most - 1], room, size, bold=bold)]
    return tuple(lines)


def _pieces(text: str, room: float, size: float, *, bold: bool) -> list[str]:
    """Split into words, and words that are wider than a line into pieces of it."""
    found = []
    for word in text.split():
        piece = ""
        for letter in word:
            if piece and width(piece + letter, size, bold=bold) > room:
                found.append(piece)
                piece = ""
            piece += letter
        found.append(piece)
    return found


def _cut(text: str, room: float, size: float, *, bold: bool) -> str:
    while text and width(text + MORE, size, bold=bold) > room:
        text = text[:-1]
    return text.rstrip() + MORE


def _letter(letter: str) -> int:
    known = _BY_LETTER.get(letter)
    if known is not None:
        return known
    if unicodedata.combining(letter):
        return 0
    return _WIDE if unicodedata.east_asian_width(letter) in "WF" else _OTHER
