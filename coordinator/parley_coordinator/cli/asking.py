"""What all commands that ask a coordinator have in common: the same options, and the connection."""
# ruff: noqa: PLC0415 - see parley_coordinator.cli: a command imports what it needs, when it runs

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from enum import StrEnum
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from parley_coordinator.cli.settings import DEFAULT_HOME, DEFAULT_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley_coordinator.cli.client import Coordinator

    Command: TypeAlias = Callable[..., None]


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"


Home = Annotated[
    Path, typer.Option(help="Directory with tokens and databases.", envvar="PARLEY_HOME")
]
Url = Annotated[str, typer.Option(help="The coordinator to talk to.", envvar="PARLEY_URL")]
As = Annotated[str, typer.Option("--as", help="Account whose token is sent.", metavar="ROLE")]
Output = Annotated[Format, typer.Option("--output", "-o", help="What to print.")]


@dataclass(frozen=True, slots=True)
class Ask:
    """How the coordinator is asked, and how its answer is printed."""

    url: str
    home: Path
    role: str
    as_json: bool

    def coordinator(self) -> Coordinator:
        """Connect.

        Raises:
            UsageError: If there is no token.
        """
        from parley_coordinator.cli.client import open_coordinator

        return open_coordinator(self.url, self.home, self.role)


def asking(role: str, *, in_formats: bool = True) -> Callable[[Command], Command]:
    """Give a command `--as`, `--home` and `--url`, and hand it what they say as `ask`.

    Args:
        role: Whose token is sent if nothing else is said.
        in_formats: Give it `--output`, too.
    """
    shared = [_option("output", Output, Format.TABLE)] if in_formats else []
    shared += [
        _option("role", As, role),
        _option("home", Home, Path(DEFAULT_HOME)),
        _option("url", Url, DEFAULT_URL),
    ]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def asked(**given: Any) -> None:
            as_json = given.pop("output", Format.TABLE) is Format.JSON
            told = {name: given.pop(name) for name in ("url", "home", "role")}
            command(**given, ask=Ask(**told, as_json=as_json))

        # Typer makes the options from the signature.
        signature = inspect.signature(command, eval_str=True)
        own = [each for name, each in signature.parameters.items() if name != _HANDED]
        setattr(asked, "__signature__", signature.replace(parameters=[*own, *shared]))  # noqa: B010
        asked.__annotations__ = {}
        return asked

    return decorate


_HANDED: Final = "ask"


def _option(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
