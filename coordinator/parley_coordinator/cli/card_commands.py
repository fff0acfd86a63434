"""`parley card` and its options; what it does is in `card_signing`."""
# ruff: noqa: PLC0415 - see parley_coordinator.cli: a command imports what it needs, when it runs

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from parley_coordinator.cli.asking import Format, Output
from parley_coordinator.cli.doctor_commands import app

__all__ = ["app"]

card = typer.Typer(
    help="Sign agent cards, and check who has signed one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(card, name="card")


class Algorithm(StrEnum):
    ES256 = "ES256"
    EDDSA = "EdDSA"


CardFile = Annotated[str, typer.Argument(metavar="CARD", help="File of an agent card; - is stdin.")]
KeyFile = Annotated[
    Path, typer.Option(help="Private key: a JWK, or PEM.", envvar="PARLEY_CARD_KEY")
]


@card.command()
def keygen(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes.")],
    algorithm: Annotated[Algorithm, typer.Option(help="How it signs.")] = Algorithm.ES256,
    kid: Annotated[
        str, typer.Option(help="Its id; default: the thumbprint of the key.", metavar="ID")
    ] = "",
) -> None:
    """Make a key; print the public part, which a registry enrolls."""
    from parley_coordinator.cli import card_signing

    card_signing.make_key(file, str(algorithm), kid)


@card.command()
def public(key: KeyFile) -> None:
    """Print the public part of a private key."""
    from parley_coordinator.cli import card_signing

    card_signing.print_public(key)


@card.command()
def sign(file: CardFile, key: KeyFile) -> None:
    """Print the card with a signature; one that this key has made before is replaced."""
    from parley_coordinator.cli import card_signing

    card_signing.print_signed(file, key)


@card.command()
def verify(
    file: CardFile,
    keys: Annotated[
        Path,
        typer.Option(
            help="Folder of public keys, or a JWK Set: those that are enrolled.",
            envvar="PARLEY_CARD_KEYS",
        ),
    ],
    output: Output = Format.TABLE,
) -> None:
    """Say who has signed a card; fails if no enrolled key has."""
    from parley_coordinator.cli import card_signing

    card_signing.print_signer(file, keys, as_json=output is Format.JSON)
