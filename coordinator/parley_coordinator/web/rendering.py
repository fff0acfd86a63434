"""The page, the diagram and the outline of a workflow, as texts.

Imported when somebody looks at one: what renders takes 3 MB.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from parley_coordinator.errors import DiagramTooLargeError
from parley_coordinator.workflow.diagram import STYLE, diagram
from parley_coordinator.workflow.document import Document
from parley_coordinator.workflow.outline import outline
from parley_coordinator.workflow.outline_text import outline_text
from parley_coordinator.workflow.wording.fields import fields

_CSS: Final = (files("parley_coordinator.web") / "templates" / "workflow.css").read_text("utf-8")
_TEMPLATES: Final = Environment(
    loader=PackageLoader("parley_coordinator.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Rendered:
    page: str
    svg: str
    """Empty if it is too large."""
    too_large: str
    """Why there is no diagram; empty if there is one."""
    outline: str
    page_style: str
    svg_style: str


def render(json: dict[str, Any]) -> Rendered:
    document = Document.from_json(json)
    said = outline(document)
    try:
        svg, too_large = diagram(document), ""
    except DiagramTooLargeError as exc:
        svg, too_large = "", exc.message
    page = _TEMPLATES.get_template("workflow.html").render(
        outline=said,
        svg=svg,
        too_large=too_large,
        css=_CSS,
        schemas=[
            ("Input", "What a run is given.", fields(document.input_schema)),
            ("Output", "What a run that completes gives back.", fields(document.output_schema)),
        ],
        version=document.version,
    )
    return Rendered(page, svg, too_large, outline_text(said), page_style=_CSS, svg_style=STYLE)
