"""Master data is checked whole before anything is stored, and may be loaded at every start."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from parley_systems.erp.ledger import Ledger, Request, Ruling
from parley_systems.erp.seed import load_seed, sow
from parley_systems.errors import InvalidMasterDataError
from parley_systems.iban import has_valid_check_digits
from parley_wire.database import Database
from sqlalchemy import text

from tests.systems.parts import SAMPLES, Clock, sample

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the samples that a test may damage."""
    return Path(shutil.copytree(SAMPLES, tmp_path / "samples"))


async def dump(database: Database) -> list[str]:
    """Every row of every table, as SQL."""
    return await database.read(
        lambda connection: list(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    )


async def test_loading_the_samples_again_changes_nothing(
    ledger: Ledger, database: Database
) -> None:
    before = await dump(database)

    await sow(load_seed(SAMPLES), database, ledger)

    assert await dump(database) == before
    assert any("PO-1007" in row for row in before)


async def test_what_is_there_stays_as_it_is(
    ledger: Ledger, database: Database, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    order = folder / "orders" / "PO-1001.xml"
    order.write_text(order.read_text("utf-8").replace("100.00", "1.00"), "utf-8")

    await sow(load_seed(folder), database, ledger)

    assert (await ledger.order("PO-1001")).data.lines[0].unit_price == "100.00"
    assert "PO-1001" in caplog.text


async def test_all_sample_accounts_have_valid_check_digits() -> None:
    accounts = [
        account for supplier in load_seed(SAMPLES).suppliers for account in supplier.bank_accounts
    ]

    assert accounts
    assert all(map(has_valid_check_digits, accounts))


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("suppliers.json", None, "No such file"),
        ("suppliers.json", "[", "suppliers.json"),
        ("suppliers.json", '[{"id": "S", "id": "T"}]', "twice"),
        ("suppliers.json", '[{"id": "S"}]', "Field required"),
        (
            "suppliers.json",
            '[{"id":"S","name":"n","status":"active","bank_accounts":["DE1212341234123412"]}]',
            "check digits",
        ),
        (
            "suppliers.json",
            '[{"id":"S","name":"n","status":"nice","bank_accounts":[]}]',
            "status",
        ),
        (
            "receipts.json",
            '[{"id":"G","order_number":"PO-1001","order_line_id":"1","quantity":10,'
            '"received_on":"2026-01-01"}]',
            "quantity",
        ),
        (
            "receipts.json",
            '[{"id":"G","order_number":"PO-1001","order_line_id":"1","quantity":"1e1",'
            '"received_on":"2026-01-01"}]',
            "quantity",
        ),
        ("orders/PO-1001.xml", "<!DOCTYPE a><a/>", "DOCTYPE"),
        ("orders/PO-1001.xml", "<a/>", "UBL 2.1 Order"),
    ],
)
async def test_a_damaged_folder_is_refused_with_the_file(
    folder: Path, file: str, content: str | None, said: str
) -> None:
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content, "utf-8")

    with pytest.raises(InvalidMasterDataError, match=said) as caught:
        load_seed(folder)

    assert file in caught.value.message


async def test_an_order_of_nobody_is_refused_and_nothing_is_stored(
    database: Database, clock: Clock, folder: Path
) -> None:
    (folder / "suppliers.json").write_text("[]", "utf-8")

    with pytest.raises(InvalidMasterDataError, match="PO-1001"):
        await sow(load_seed(folder), database, Ledger(database, now=clock))

    assert await count(database, "orders") == 0


async def test_a_receipt_for_no_order_line_is_refused_and_nothing_is_stored(
    database: Database, clock: Clock, folder: Path
) -> None:
    receipts = folder / "receipts.json"
    entries = json.loads(receipts.read_text("utf-8"))
    entries[-1]["order_line_id"] = "77"
    receipts.write_text(json.dumps(entries), "utf-8")

    with pytest.raises(InvalidMasterDataError, match="no line 77"):
        await sow(load_seed(folder), database, Ledger(database, now=clock))

    assert await count(database, "suppliers") == 0


async def test_an_identifier_belongs_to_one_supplier(
    database: Database, clock: Clock, folder: Path
) -> None:
    suppliers = folder / "suppliers.json"
    entries = json.loads(suppliers.read_text("utf-8"))
    entries[1]["identifiers"] = entries[0]["identifiers"]
    suppliers.write_text(json.dumps(entries), "utf-8")

    with pytest.raises(InvalidMasterDataError, match="belongs to another supplier"):
        await sow(load_seed(folder), database, Ledger(database, now=clock))


async def test_an_invoice_that_was_decided_on_meanwhile_stays_as_it_is(
    ledger: Ledger, folder: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    document = sample("matching")
    request = Request(tool="t", idempotency_key="k", arguments={}, by="mesh")
    captured = await ledger.capture(request, document)
    ruling = Ruling(
        invoice_id=captured.invoice.data.id,
        expected_etag=captured.invoice.etag,
        decided_by="approver",
        reason="not ordered",
        state="blocked",
    )
    await ledger.rule(replace(request, idempotency_key="l"), ruling)
    (folder / "posted" / "later.xml").write_text(document, "utf-8")

    await sow(load_seed(folder), database, ledger)

    assert (await ledger.invoice(ruling.invoice_id)).data.state == "blocked"
    assert "blocked already" in caplog.text


async def count(database: Database, table: str) -> int:
    return await database.read(
        lambda connection: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608
    )
