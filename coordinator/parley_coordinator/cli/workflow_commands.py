"""The commands about workflow documents and their versions, and their options."""
# ruff: noqa: PLC0415 - see parley_coordinator.cli: a command imports what it needs, when it runs

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from parley_coordinator.cli.asking import As, Ask, Format, Home, Output, asking
from parley_coordinator.cli.commands import app
from parley_coordinator.cli.errors import UsageError
from parley_coordinator.cli.settings import DEFAULT_HOME

__all__ = ["app"]

_NAME = re.compile(r"[\w.~-]{1,200}", re.ASCII)


def _a_name(given: str | None) -> str | None:
    if given is not None and (not _NAME.fullmatch(given) or ".." in given):
        raise UsageError(
            f"{given[:60]!r} is no workflow and no version; take one that `parley workflows` shows"
        )
    return given


def _a_readable(given: str) -> str:
    return given if Path(given).exists() or "/" in given else _a_name(given) or given


Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE|DIR...",
        help="A folder stands for each workflow.yaml below it, or else for each YAML file.",
    ),
]
Name = Annotated[str, typer.Argument(metavar="NAME", callback=_a_name)]
Readable = Annotated[
    str,
    typer.Argument(
        metavar="FILE|NAME",
        help="A document on this machine, or else a workflow of the coordinator.",
        callback=_a_readable,
    ),
]
OfVersion = Annotated[
    str | None,
    typer.Option("--version", help="Of the workflow; default: the current one.", callback=_a_name),
]
Version = Annotated[str, typer.Argument(metavar="VERSION", callback=_a_name)]


@app.command()
def check(
    paths: Paths,
    cards: Annotated[
        Path | None, typer.Option(help="Check with the agent cards of this folder instead.")
    ] = None,
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no coordinator, even if there is one.")
    ] = False,
    output: Output = Format.TABLE,
    role: As = "operator",
    home: Home = Path(DEFAULT_HOME),
    url: Annotated[
        str | None,
        typer.Option(
            help="The coordinator to ask; default: the usual one, if it is there.",
            envvar="PARLEY_URL",
        ),
    ] = None,
) -> None:
    """Say what keeps workflow documents from being deployed; status 1 if anything does."""
    from parley_coordinator.cli import checking

    checking.check(
        paths,
        url=url,
        home=home,
        role=role,
        offline=offline,
        cards=cards,
        as_json=output is Format.JSON,
    )


@app.command("test")
def run_cases(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR|FILE...",
            help="A folder stands for each *.case.yaml and cases/*.yaml below it.",
        ),
    ],
    cards: Annotated[
        Path | None,
        typer.Option(help="Folder of the agents' cards; default: those that ship with the mesh."),
    ] = None,
    words: Annotated[
        str, typer.Option("-k", help="Only cases with all these words in their name or file.")
    ] = "",
    coverage: Annotated[
        bool | None,
        typer.Option(
            "--coverage/--no-coverage",
            help="Say what no case reached; default: if a folder is given and all of it is run.",
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write JUnit XML, for CI.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Run cases of workflows in memory, without servers and waiting; status 1 if one fails."""
    from parley_coordinator.cli import testing

    testing.run_cases(
        paths,
        cards=cards,
        words=words,
        coverage=coverage,
        junit=junit,
        as_json=output is Format.JSON,
    )


@app.command()
@asking("operator")
def deploy(
    paths: Paths,
    *,
    ask: Ask,
) -> None:
    """Make documents the current versions of their workflows; runs under way stay on theirs."""
    from parley_coordinator.cli import versions

    with ask.coordinator() as coordinator:
        versions.deploy(coordinator, paths, as_json=ask.as_json)


@app.command()
@asking("operator")
def workflows(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Show this one.", callback=_a_name)
    ] = None,
    *,
    ask: Ask,
) -> None:
    """List the workflows, or the versions of one and who deployed them."""
    from parley_coordinator.cli import versions

    with ask.coordinator() as coordinator:
        if name is None:
            versions.list_workflows(coordinator, as_json=ask.as_json)
        else:
            versions.show_versions(coordinator, name, as_json=ask.as_json)


@app.command()
@asking("operator")
def diff(
    name: Name,
    one: Annotated[str, typer.Argument(metavar="VERSION", callback=_a_name)],
    other: Annotated[
        str | None,
        typer.Argument(metavar="[OTHER]", help="Default: the current one.", callback=_a_name),
    ] = None,
    *,
    ask: Ask,
) -> None:
    """Show what two versions of a workflow differ in, line by line."""
    from parley_coordinator.cli import versions

    with ask.coordinator() as coordinator:
        versions.print_diff(coordinator, name, one, other, as_json=ask.as_json)


@app.command()
@asking("operator")
def deprecate(
    name: Name,
    version: Version,
    *,
    ask: Ask,
) -> None:
    """Let no new run start on a version; runs under way go on."""
    from parley_coordinator.cli import versions

    with ask.coordinator() as coordinator:
        versions.deprecate(coordinator, name, version, as_json=ask.as_json)


@app.command()
@asking("operator")
def rollback(
    name: Name,
    version: Annotated[
        str | None,
        typer.Argument(
            metavar="[VERSION]",
            help="Default: the one that was deployed before the current one.",
            callback=_a_name,
        ),
    ] = None,
    *,
    ask: Ask,
) -> None:
    """Make a version current again that was deployed before."""
    from parley_coordinator.cli import versions

    with ask.coordinator() as coordinator:
        versions.roll_back(coordinator, name, version, as_json=ask.as_json)


@app.command()
@asking("operator")
def outline(
    document: Readable,
    version: OfVersion = None,
    *,
    ask: Ask,
) -> None:
    """Say in numbered plain language what a workflow does, by whom, and by when."""
    from parley_coordinator.cli import reading

    found = reading.find(document, version, ask.coordinator)
    reading.print_outline(found, as_json=ask.as_json)


@app.command()
@asking("operator", in_formats=False)
def diagram(
    document: Readable,
    version: OfVersion = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Write it here instead of to stdout.")
    ] = None,
    *,
    ask: Ask,
) -> None:
    """Draw a workflow as SVG."""
    from parley_coordinator.cli import reading

    found = reading.find(document, version, ask.coordinator)
    reading.print_diagram(found, out)
