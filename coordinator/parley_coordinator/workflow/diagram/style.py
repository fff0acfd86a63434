"""Colours and glyphs of a diagram. Colours are never all that tells two things apart."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

FONT: Final = "'Segoe UI','Helvetica Neue',Helvetica,Arial,'Liberation Sans',sans-serif"

_LIGHT: Final = {
    "paper": "#ffffff",
    "ink": "#1b2430",
    "muted": "#566273",
    "line": "#5f6b7c",
    "frame": "#f5f7fa",
    "rim": "#b9c2cd",
    "error": "#b3261e",
}
_DARK: Final = {
    "paper": "#11151b",
    "ink": "#e9eef5",
    "muted": "#a9b4c2",
    "line": "#94a1b2",
    "frame": "#181e27",
    "rim": "#435062",
    "error": "#ff8f85",
}
_KINDS: Final = {
    "agent": ("#e7effd", "#2a5db0", "#16263f", "#86b1f7"),
    "person": ("#fff1cc", "#8a5200", "#3a2a08", "#f5bd55"),
    "system": ("#f1e9fd", "#6a3cae", "#281b3d", "#c3a1f5"),
    "workflow": ("#def4f4", "#0d6a73", "#0e2f33", "#6fd0d8"),
    "data": ("#f3f4f6", "#566273", "#1f2630", "#a9b4c2"),
    "choice": ("#eef1f6", "#3f4f66", "#222b38", "#b4c1d3"),
    "event": ("#e4f5e8", "#1f6d36", "#12301d", "#7fd69a"),
    "wait": ("#fde8f1", "#9c2560", "#391827", "#f59cc2"),
    "raise": ("#fdeae8", "#b3261e", "#3d1815", "#ff8f85"),
}
"""Fill and stroke, in the light and in the dark."""

FAMILY: Final[Mapping[str, str]] = MappingProxyType(
    {"announce": "event", "listen": "event"} | {kind: kind for kind in _KINDS}
)
"""The colours of a kind; kinds that are not here are drawn in those of a frame."""

GLYPHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "agent": "M3 5.5h10v8H3zM8 5.5V2.5M6 8.7v1.2M10 8.7v1.2M1 8.5v2M15 8.5v2",
        "person": "M8 1.8a3.1 3.1 0 1 0 0 6.2a3.1 3.1 0 1 0 0-6.2M2 14.5c0-3.4 2.6-4.8 6-4.8"
        "s6 1.4 6 4.8z",
        "system": "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12M2 8h12M8 2c-3.4 3.6-3.4 8.4 0 12"
        "M8 2c3.4 3.6 3.4 8.4 0 12",
        "workflow": "M2 2h5v4H2zM9 10h5v4H9zM4.5 6v6H9",
        "data": "M3 4h10M3 8h10M3 12h6",
        "choice": "M8 1.5l6.5 6.5L8 14.5L1.5 8z",
        "steps": "M3 2.5h10v4H3zM3 9.5h10v4H3zM8 6.5v3",
        "loop": "M13.2 8.6a5.3 5.3 0 1 1-1.6-4.3M12.2 1.6v3.2H9",
        "fork": "M8 1.5v4M2.5 5.5h11M2.5 5.5v9M8 5.5v9M13.5 5.5v9",
        "attempt": "M8 1.5l5.5 2v4c0 3.9-2.4 6-5.5 7c-3.1-1-5.5-3.1-5.5-7v-4z",
        "raise": "M8 2l6.6 11.8H1.4zM8 6.2v3.6M8 11.6v.6",
        "wait": "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12M8 4.6V8l2.6 1.8",
        "announce": "M1.5 10V6.5L11 3v10.5zM11 6.2c2.2.2 2.2 4 0 4.2M4 11v3h2.4v-2.2",
        "listen": "M1.5 3.5h13v9h-13zM1.5 3.5L8 9l6.5-5.5",
    }
)
"""Paths in a square of 16, to be stroked."""


def _variables(colours: Mapping[str, str], *, dark: bool) -> str:
    own = "".join(f"--{name}:{value};" for name, value in colours.items())
    at = 2 if dark else 0
    return own + "".join(
        f"--{kind}:{found[at]};--{kind}-rim:{found[at + 1]};" for kind, found in _KINDS.items()
    )


STYLE: Final = (
    f".flow-chart{{{_variables(_LIGHT, dark=False)}font-family:{FONT}}}"
    "@media (prefers-color-scheme:dark){"
    f".flow-chart{{{_variables(_DARK, dark=True)}}}}}"
    ".flow-chart .paper{fill:var(--paper)}"
    ".flow-chart text{fill:var(--ink)}"
    ".flow-chart .kind{font-weight:700;fill:var(--tone,var(--muted))}"
    ".flow-chart .title{font-weight:600}"
    ".flow-chart .sub,.flow-chart .small{fill:var(--muted)}"
    ".flow-chart .time{fill:var(--ink);font-style:italic}"
    ".flow-chart text.error{fill:var(--error)}"
    ".flow-chart .body{fill:var(--paper);stroke:var(--rim);stroke-width:1.4}"
    ".flow-chart .frame>.body{fill:var(--frame)}"
    ".flow-chart .frame .frame>.body{fill:var(--paper)}"
    ".flow-chart .frame .frame .frame>.body{fill:var(--frame)}"
    ".flow-chart .plain>.body{stroke-dasharray:2 3}"
    ".flow-chart .head{stroke:var(--rim);stroke-width:1}"
    ".flow-chart .glyph{fill:none;stroke:var(--tone,var(--muted));stroke-width:1.5;"
    "stroke-linejoin:round;stroke-linecap:round}"
    ".flow-chart .k-person>.glyph{fill:var(--tone)}"
    + "".join(
        f".flow-chart .k-{kind}{{--tone:var(--{kind}-rim)}}"
        f".flow-chart .k-{kind}>.body{{fill:var(--{kind});stroke:var(--tone)}}"
        for kind in _KINDS
    )
    + ".flow-chart .k-person>.body{stroke-width:2.6}"
    ".flow-chart .pill>.body{stroke:var(--ink);stroke-width:1.6}"
    ".flow-chart .k-end>.body{stroke-width:3}"
    ".flow-chart .bar>.body{fill:var(--line);stroke:none}"
    ".flow-chart .way{fill:none;stroke:var(--line);stroke-width:1.5}"
    ".flow-chart .way.error{stroke:var(--error);stroke-dasharray:6 4}"
    ".flow-chart .tip{fill:var(--line)}"
    ".flow-chart .tip.error,.flow-chart .dot{fill:var(--error)}"
    ".flow-chart .label rect{fill:var(--paper);stroke:var(--rim);stroke-width:1}"
    ".flow-chart .label.error rect{stroke:var(--error);stroke-dasharray:3 2}"
)
