"""Writes happen once per key, on what the caller has read, and are booked on the order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

import pytest
from parley_systems.erp.ledger import Ledger, Request, Ruling
from parley_systems.erp.records import InvoiceData, Record, WriteResult
from parley_systems.errors import (
    IdempotencyConflictError,
    InvalidAmountError,
    PostingRefusedError,
    StaleEtagError,
    UnknownInvoiceError,
    UnknownOrderError,
    UnknownSupplierError,
    WrongStateError,
)
from parley_wire.database import Database
from sqlalchemy import text

from tests.systems.parts import NAMES, Clock, sample

pytestmark = pytest.mark.anyio


def request(tool: str, key: str, **arguments: Any) -> Request:
    return Request(tool=tool, idempotency_key=key, arguments=arguments, by="mesh")


async def capture(ledger: Ledger, document: str, key: str = "capture") -> WriteResult:
    asked = request("ap.invoice.capture", key, document=document)
    return await ledger.capture(asked, document)


async def rule(
    ledger: Ledger,
    invoice: Record[InvoiceData],
    key: str = "rule",
    state: Literal["posted", "blocked"] = "posted",
) -> WriteResult:
    ruling = Ruling(
        invoice_id=invoice.data.id,
        expected_etag=invoice.etag,
        decided_by="policy",
        reason="all checks passed",
        state=state,
    )
    asked = request(f"ap.invoice.{state}", key, invoice_id=invoice.data.id, etag=invoice.etag)
    return await ledger.rule(asked, ruling)


async def invoiced(ledger: Ledger, number: str) -> list[tuple[str, str]]:
    order = await ledger.order(number)
    return [(line.invoiced_quantity, line.invoiced_amount) for line in order.data.lines]


async def test_a_matching_invoice_is_captured_and_posted(ledger: Ledger) -> None:
    captured = await capture(ledger, sample("matching"))
    posted = await rule(ledger, captured.invoice)

    assert (captured.status, captured.invoice.data.state) == ("applied", "captured")
    assert captured.invoice.data.supplier_id == "SUP-100"
    assert captured.invoice.source == f"erp:ap.invoice.get/{captured.invoice.data.id}"
    assert (posted.status, posted.invoice.data.state) == ("applied", "posted")
    assert posted.invoice.data.decided_by == "policy"
    assert posted.invoice.etag != captured.invoice.etag
    assert await invoiced(ledger, "PO-1001") == [("10", "1000.00"), ("4", "1000.00")]


async def test_the_same_key_and_arguments_get_the_stored_answer(
    ledger: Ledger, clock: Clock
) -> None:
    captured = await capture(ledger, sample("matching"))
    first = await rule(ledger, captured.invoice)
    clock.forward(timedelta(hours=1))

    again = await rule(ledger, captured.invoice)

    assert again == first
    assert again.model_dump_json() == first.model_dump_json()
    assert await invoiced(ledger, "PO-1001") == [("10", "1000.00"), ("4", "1000.00")]


async def test_the_same_key_with_other_arguments_is_refused(ledger: Ledger) -> None:
    captured = await capture(ledger, sample("matching"), "one")
    other = await capture(ledger, sample("tax-error"), "two")
    await rule(ledger, captured.invoice, "rule")

    with pytest.raises(IdempotencyConflictError):
        await rule(ledger, other.invoice, "rule")
    with pytest.raises(IdempotencyConflictError):
        await rule(ledger, other.invoice, "one", "blocked")

    assert (await ledger.invoice(other.invoice.data.id)).data.state == "captured"


async def test_the_same_document_is_the_same_invoice_under_any_key(ledger: Ledger) -> None:
    first = await capture(ledger, sample("matching"), "one")
    await rule(ledger, first.invoice)

    again = await capture(ledger, sample("matching"), "two")

    assert (again.status, again.invoice.data.id) == ("unchanged", first.invoice.data.id)
    assert again.invoice.data.state == "posted"
    assert (await ledger.duplicates(first.invoice.data.id)).data == []


async def test_of_two_who_decide_at_once_one_wins(ledger: Ledger) -> None:
    captured = await capture(ledger, sample("matching"))

    outcomes = await asyncio.gather(
        *(rule(ledger, captured.invoice, f"post-{n}") for n in range(5)),
        *(rule(ledger, captured.invoice, f"block-{n}", "blocked") for n in range(5)),
        return_exceptions=True,
    )

    won = [each for each in outcomes if isinstance(each, WriteResult)]
    assert len(won) == 1
    assert all(isinstance(each, WrongStateError) for each in outcomes if each is not won[0])


async def test_one_key_sent_many_times_at_once_happens_once(ledger: Ledger) -> None:
    captured = await capture(ledger, sample("matching"))

    answers = await asyncio.gather(*(rule(ledger, captured.invoice) for _ in range(10)))

    assert len({each.model_dump_json() for each in answers}) == 1
    effects = await ledger.effects(invoice_id=captured.invoice.data.id, after=0, limit=99)
    assert [each["tool"] for each in effects] == ["ap.invoice.capture", "ap.invoice.posted"]
    assert await invoiced(ledger, "PO-1001") == [("10", "1000.00"), ("4", "1000.00")]


async def test_a_decision_on_what_was_not_read_is_refused(ledger: Ledger) -> None:
    captured = await capture(ledger, sample("matching"))

    with pytest.raises(StaleEtagError) as caught:
        await rule(ledger, captured.invoice.model_copy(update={"etag": "0" * 32}))

    assert caught.value.facts["etag"] == captured.invoice.etag
    assert await ledger.invoice(captured.invoice.data.id) == captured.invoice


async def test_a_change_of_the_accounts_on_file_makes_what_was_read_stale(
    ledger: Ledger, database: Database
) -> None:
    """With two accounts, which of them is strange is part of what was read."""
    means = (
        "<cac:PaymentMeans><cac:PayeeFinancialAccount><cbc:ID>LT259990000000666666</cbc:ID>"
        "</cac:PayeeFinancialAccount></cac:PaymentMeans><cac:TaxTotal>"
    )
    captured = await capture(ledger, sample("matching").replace("<cac:TaxTotal>", means, 1))
    await database.write(
        lambda connection: connection.execute(text("DELETE FROM supplier_accounts"))
    )

    with pytest.raises(StaleEtagError):
        await rule(ledger, captured.invoice)


@pytest.mark.parametrize(
    ("name", "code"),
    [("bank-changed", "bank_account_not_on_file"), ("blocked-supplier", "supplier_blocked")],
)
async def test_the_ledger_refuses_what_nobody_may_post_and_lets_it_be_blocked(
    ledger: Ledger, name: str, code: str
) -> None:
    captured = await capture(ledger, sample(name))

    with pytest.raises(PostingRefusedError) as caught:
        await rule(ledger, captured.invoice)
    blocked = await rule(ledger, captured.invoice, state="blocked")

    assert [each["code"] for each in caught.value.facts["problems"]] == [code]
    assert blocked.invoice.data.state == "blocked"


async def test_a_refused_write_leaves_its_key_unused(ledger: Ledger) -> None:
    captured = await capture(ledger, sample("bank-changed"))
    with pytest.raises(PostingRefusedError):
        await rule(ledger, captured.invoice, "key")

    effects = await ledger.effects(invoice_id=captured.invoice.data.id, after=0, limit=99)

    assert [each["tool"] for each in effects] == ["ap.invoice.capture"]


async def test_a_document_that_is_refused_is_not_stored(ledger: Ledger, database: Database) -> None:
    with pytest.raises(InvalidAmountError):
        await capture(ledger, sample("matching").replace(">2380.00<", ">2.38e3<"))

    count = await database.read(
        lambda connection: connection.execute(text("SELECT count(*) FROM invoices")).scalar_one()
    )
    assert count == 1, "the one that was booked before"


async def test_an_invoice_of_a_stranger_has_no_supplier_and_cannot_be_posted(
    ledger: Ledger,
) -> None:
    strange = (
        sample("matching")
        .replace("DE999100007", "DE111111111")
        .replace("SUP-100", "SUP-900")
        .replace("4099999100009", "4099999900001")
    )
    captured = await capture(ledger, strange)

    with pytest.raises(PostingRefusedError, match="not in the master data"):
        await rule(ledger, captured.invoice)

    assert captured.invoice.data.supplier_id is None


async def test_a_seller_that_fits_two_suppliers_is_nobody(ledger: Ledger) -> None:
    """The VAT id of one, the identifier of another: it must not pass as either."""
    mixed = sample("matching").replace("4099999100009", "4099999200006")

    captured = await capture(ledger, mixed)

    assert captured.invoice.data.supplier_id is None


async def test_of_several_accounts_the_strange_one_is_shown(ledger: Ledger) -> None:
    means = (
        "<cac:PaymentMeans><cac:PayeeFinancialAccount><cbc:ID>LT25 9990 0000 0066 6666</cbc:ID>"
        "</cac:PayeeFinancialAccount></cac:PaymentMeans><cac:TaxTotal>"
    )

    captured = await capture(ledger, sample("matching").replace("<cac:TaxTotal>", means, 1))

    assert captured.invoice.data.payee_iban == "LT259990000000666666"
    assert captured.invoice.data.payee_accounts == [
        "DE23999000000000100100",
        "LT259990000000666666",
    ]


async def test_a_retyped_invoice_is_found_as_a_duplicate(ledger: Ledger) -> None:
    captured = await capture(ledger, sample("duplicate"))

    (found,) = (await ledger.duplicates(captured.invoice.data.id)).data

    assert (found.number, found.state, found.match) == ("NW-2032", "posted", "same-number")


async def test_the_samples_are_no_duplicates_of_each_other(ledger: Ledger) -> None:
    for name in NAMES:
        await capture(ledger, sample(name), name)

    for name in NAMES:
        captured = await capture(ledger, sample(name), f"{name}-again")
        found = await ledger.duplicates(captured.invoice.data.id)
        assert [each.number for each in found.data] == (["NW-2032"] if name == "duplicate" else [])


async def test_invoices_and_credit_notes_are_added_up_on_the_order_line(ledger: Ledger) -> None:
    first = await capture(ledger, sample("matching"), "invoice")
    await rule(ledger, first.invoice, "post invoice")
    note = (
        sample("matching")
        .replace("Invoice-2", "CreditNote-2")
        .replace("<Invoice ", "<CreditNote ")
        .replace("</Invoice>", "</CreditNote>")
        .replace("cac:InvoiceLine", "cac:CreditNoteLine")
        .replace("cbc:InvoicedQuantity", "cbc:CreditedQuantity")
        .replace("NW-2041", "NW-2041-C")
    )

    credit = await capture(ledger, note, "credit")
    await rule(ledger, credit.invoice, "post credit")

    assert await invoiced(ledger, "PO-1001") == [("0", "0.00"), ("0", "0.00")]


async def test_a_line_without_a_reference_is_booked_by_its_item(ledger: Ledger) -> None:
    silent = sample("matching")
    for line in ("1", "2"):
        reference = f"<cbc:LineID>{line}</cbc:LineID>"
        assert reference in silent
        silent = silent.replace(reference, "")

    captured = await capture(ledger, silent)
    await rule(ledger, captured.invoice)

    assert await invoiced(ledger, "PO-1001") == [("10", "1000.00"), ("4", "1000.00")]


async def test_an_invoice_without_an_order_can_be_posted_and_books_on_none(
    ledger: Ledger,
) -> None:
    captured = await capture(ledger, sample("missing-order"))

    posted = await rule(ledger, captured.invoice)

    assert posted.invoice.data.state == "posted"
    with pytest.raises(UnknownOrderError):
        await ledger.order("PO-1999")


async def test_a_preview_says_what_would_happen_and_changes_nothing(ledger: Ledger) -> None:
    good = await capture(ledger, sample("matching"), "good")
    bad = await capture(ledger, sample("bank-changed"), "bad")

    def ruling(invoice: Record[InvoiceData]) -> Ruling:
        return Ruling(
            invoice_id=invoice.data.id,
            expected_etag=invoice.etag,
            decided_by="policy",
            reason="r",
            state="posted",
        )

    allowed = await ledger.preview(ruling(good.invoice), tool="t")
    refused = await ledger.preview(ruling(bad.invoice), tool="t")
    stale = await ledger.preview(replace(ruling(good.invoice), expected_etag="x"), tool="t")

    assert (allowed.data.allowed, allowed.data.state_after) == (True, "posted")
    assert (refused.data.allowed, refused.data.state_after) == (False, "captured")
    assert [each.code for each in refused.data.problems] == ["bank_account_not_on_file"]
    assert [each.code for each in stale.data.problems] == ["stale_etag"]
    assert await ledger.invoice(good.invoice.data.id) == good.invoice


async def test_what_does_not_exist_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(UnknownInvoiceError):
        await ledger.invoice("inv-0")
    with pytest.raises(UnknownInvoiceError):
        await ledger.duplicates("inv-0")
    with pytest.raises(UnknownOrderError):
        await ledger.receipts("PO-0")
    with pytest.raises(UnknownSupplierError):
        await ledger.supplier("SUP-0")


async def test_receipts_are_listed_oldest_first(ledger: Ledger) -> None:
    found = await ledger.receipts("PO-1004")

    assert [receipt.quantity for receipt in found.data] == ["40", "20"]


async def test_an_etag_changes_with_the_data_and_with_nothing_else(
    ledger: Ledger, clock: Clock
) -> None:
    before = await ledger.order("PO-1001")
    clock.forward(timedelta(days=1))
    later = await ledger.order("PO-1001")
    captured = await capture(ledger, sample("matching"))
    await rule(ledger, captured.invoice)
    after = await ledger.order("PO-1001")

    assert later.etag == before.etag
    assert later.as_of != before.as_of
    assert after.etag != before.etag


async def test_the_running_total_of_a_line_is_the_sum_of_what_was_posted(
    ledger: Ledger,
) -> None:
    """Ten part invoices over one order line, posted at once by callers who read again if stale."""
    base = sample("quantity-over-receipt")
    captured = []
    for number in range(10):
        part = base.replace("K-7790", f"K-77{number}").replace(">100<", f">{number + 1}<")
        amount = f"{(number + 1) * 35}.00"
        tax = Decimal(amount) * 19 / 100
        gross = Decimal(amount) + tax
        part = part.replace("3500.00", amount).replace(">665.00<", f">{tax:.2f}<")
        captured.append(
            await capture(ledger, part.replace("4165.00", f"{gross:.2f}"), f"c{number}")
        )

    async def post(number: int, invoice: Record[InvoiceData]) -> None:
        while True:
            try:
                await rule(ledger, invoice, f"p{number}")
            except StaleEtagError:
                invoice = await ledger.invoice(invoice.data.id)
            else:
                return

    await asyncio.gather(*(post(n, each.invoice) for n, each in enumerate(captured)))

    assert await invoiced(ledger, "PO-1004") == [("55", "1925.00")]


async def test_of_two_invoices_for_one_delivery_the_second_decision_is_stale(
    ledger: Ledger,
) -> None:
    """Both were matched before either was posted, so each looked right by itself."""
    first = await capture(ledger, sample("matching"), "one")
    second = await capture(ledger, sample("matching").replace("NW-2041", "NW-9000"), "two")

    await rule(ledger, first.invoice, "post one")

    with pytest.raises(StaleEtagError):
        await rule(ledger, second.invoice, "post two")
    assert (await ledger.invoice(second.invoice.data.id)).data.state == "captured"


async def test_the_effects_are_the_ledgers_own_account(ledger: Ledger) -> None:
    captured = await capture(ledger, sample("matching"))
    await rule(ledger, captured.invoice)

    effects = await ledger.effects(invoice_id=None, after=0, limit=99)

    assert [(each["by"], each["decided_by"], each["status"]) for each in effects] == [
        ("seed", None, "applied"),
        ("seed", "seed", "applied"),
        ("mesh", None, "applied"),
        ("mesh", "policy", "applied"),
    ]
    assert len({each["effect_id"] for each in effects}) == 4
    page = await ledger.effects(invoice_id=None, after=effects[1]["seq"], limit=1)
    assert page == [effects[2]]
