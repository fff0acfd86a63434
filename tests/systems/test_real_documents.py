"""Documents that others published. Runs only where `PARLEY_REAL_DATA` names a directory of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from parley_cards.errors import ParleyError
from parley_systems.erp.rules import arithmetic_problems
from parley_systems.ubl.parse import parse_invoice, parse_order

ROOT = os.environ.get("PARLEY_REAL_DATA", "")
NOT_READ = {
    "UBL-FreightInvoice-2.1-Example.xml",
    "UBL-OrderChange-2.1-Example.xml",
    "UBL-OrderResponse-2.1-Example.xml",
    "UBL-Reminder-2.1-Example.xml",
}
"""Of kinds that are not read; refused as `unsupported_document`."""
ROUNDED = {"UBL-Invoice-2.1-Example.xml", "UBL-CreditNote-2.1-Example.xml"}
"""The rounding is in the gross total already, which EN 16931 (BR-CO-15) does not allow."""

pytestmark = pytest.mark.skipif(not ROOT, reason="PARLEY_REAL_DATA is not set")


def documents() -> list[Path]:
    folders = [Path(ROOT, name) for name in ("ubl21", "en16931-ubl", "xrechnung")]
    return sorted(
        path
        for folder in folders
        for path in folder.glob("*")
        if path.suffix.lower() == ".xml" and not path.name.endswith("_uncefact.xml")
    )


def test_every_published_invoice_credit_note_and_order_is_read() -> None:
    refused: dict[str, str] = {}
    for path in documents():
        parse = parse_order if "UBL-Order-" in path.name else parse_invoice
        try:
            parse(path.read_bytes())
        except ParleyError as exc:
            refused[path.name] = f"{exc.code}: {exc.message}"

    assert len(documents()) == 75
    assert set(refused) == NOT_READ, refused
    assert all(reason.startswith("unsupported_document") for reason in refused.values())


def test_the_published_numbers_add_up_but_for_two_old_examples() -> None:
    wrong = {
        path.name
        for path in documents()
        if path.name not in NOT_READ and "UBL-Order-" not in path.name
        if arithmetic_problems(parse_invoice(path.read_bytes()))
    }

    assert wrong == ROUNDED


def test_an_invoice_of_another_syntax_is_refused_as_unsupported() -> None:
    found = sorted(Path(ROOT, "xrechnung").glob("*_uncefact.xml"))

    assert found
    for path in found:
        with pytest.raises(ParleyError) as caught:
            parse_invoice(path.read_bytes())
        assert caught.value.code == "unsupported_document"
