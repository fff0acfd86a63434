"""`parley outline` and `parley diagram`: what a workflow does, in words and as a picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from parley_coordinator.cli.documents import read_files
from parley_coordinator.cli.errors import UsageError
from parley_coordinator.cli.output import clean, console, print_json, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley_coordinator.cli.client import Coordinator
    from parley_coordinator.workflow.document import Document


def find(given: str, version: str | None, connect: Callable[[], Coordinator]) -> Document:
    """Return the document in a file or folder, or else the workflow of that name.

    Args:
        version: Of the workflow; the current one if it is None.
        connect: Opens the coordinator; not called for what is on this machine.

    Raises:
        UsageError: If it cannot be read, or is more than one document.
        InvalidWorkflowError, UnreachableError, RefusedError
    """
    # Loading the language takes a while, and `parley --help` does not need it.
    from parley_coordinator.workflow.document import Document, load_document  # noqa: PLC0415

    path = Path(given)
    if path.exists():
        if version is not None:
            raise UsageError("--version goes with the name of a workflow, not with a file")
        files = read_files([path])
        if len(files) != 1:
            raise UsageError(f"{given} holds {len(files)} documents; name one of them")
        return load_document(files[0].raw, source=files[0].name)
    if path.suffix in (".yaml", ".yml", ".json") or "/" in given:
        raise UsageError(f"there is no file {given}")
    with connect() as coordinator:
        steps = () if version is None else ("versions", version)
        found = coordinator.get("v1", "workflows", given, *steps)
    return Document.from_json(found["document"], source=given)


def print_outline(document: Document, *, as_json: bool) -> None:
    from parley_coordinator.workflow.outline import outline  # noqa: PLC0415 - see above
    from parley_coordinator.workflow.outline_text import (  # noqa: PLC0415
        outline_json,
        outline_text,
    )

    said = outline(document)
    if as_json:
        print_json(outline_json(said))
    else:
        sys.stdout.write("".join(f"{clean(line)}\n" for line in outline_text(said).splitlines()))


def print_diagram(document: Document, out: Path | None) -> None:
    """Write the diagram to a file, or to stdout.

    Raises:
        UsageError: If the file cannot be written.
        DiagramTooLargeError
    """
    from parley_coordinator.workflow.diagram import diagram  # noqa: PLC0415 - see above

    svg = diagram(document)
    if out is None:
        sys.stdout.write(svg)
        return
    try:
        out.write_text(svg, encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"cannot write {out}: {exc.strerror}") from exc
    console(stderr=True).print(text(f"wrote {out}", "dim"), soft_wrap=True)
