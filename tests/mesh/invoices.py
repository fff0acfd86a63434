"""As many invoices as a test needs, each with an order, a receipt and a number of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["matching", "above", "bank"]

_NS = (
    'xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"'
    ' xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"'
)
_ON_FILE = "DE23999000000000100100"
_ELSEWHERE = "LT259990000000666666"
_QUANTITY = 10


@dataclass(frozen=True)
class Invoice:
    """One invoice and the order behind it."""

    index: int
    kind: Kind

    @property
    def number(self) -> str:
        return f"GEN-{self.index:05d}"

    @property
    def order(self) -> str:
        return f"PO-G{self.index:05d}"

    @property
    def decided_by(self) -> str:
        return "policy" if self.kind == "matching" else "approver"

    @property
    def outcome(self) -> str:
        """What an approver who knows the kinds decides."""
        return "reject" if self.kind == "bank" else "approve"

    def xml(self) -> str:
        ordered = self._price()
        price = ordered * Decimal("1.12") if self.kind == "above" else ordered
        net = (price * _QUANTITY).quantize(Decimal("0.01"))
        tax = (net * Decimal("0.19")).quantize(Decimal("0.01"))
        iban = _ELSEWHERE if self.kind == "bank" else _ON_FILE
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2" {_NS}>
<cbc:ID>{self.number}</cbc:ID><cbc:IssueDate>2026-11-02</cbc:IssueDate>
<cbc:InvoiceTypeCode>380</cbc:InvoiceTypeCode>
<cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>
<cac:OrderReference><cbc:ID>{self.order}</cbc:ID></cac:OrderReference>
<cac:AccountingSupplierParty>{_SELLER}</cac:AccountingSupplierParty>
<cac:AccountingCustomerParty>{_BUYER}</cac:AccountingCustomerParty>
<cac:PaymentMeans><cbc:PaymentMeansCode>58</cbc:PaymentMeansCode>
<cac:PayeeFinancialAccount><cbc:ID>{iban}</cbc:ID></cac:PayeeFinancialAccount></cac:PaymentMeans>
<cac:TaxTotal>{_money("TaxAmount", tax)}<cac:TaxSubtotal>{_money("TaxableAmount", net)}
{_money("TaxAmount", tax)}<cac:TaxCategory>{_TAX}</cac:TaxCategory></cac:TaxSubtotal></cac:TaxTotal>
<cac:LegalMonetaryTotal>{_money("LineExtensionAmount", net)}{_money("TaxExclusiveAmount", net)}
{_money("TaxInclusiveAmount", net + tax)}{_money("PayableAmount", net + tax)}
</cac:LegalMonetaryTotal>
<cac:InvoiceLine><cbc:ID>1</cbc:ID>
<cbc:InvoicedQuantity unitCode="C62">{_QUANTITY}</cbc:InvoicedQuantity>
{_money("LineExtensionAmount", net)}
<cac:OrderLineReference><cbc:LineID>1</cbc:LineID></cac:OrderLineReference>{_item()}
<cac:Price>{_money("PriceAmount", price.quantize(Decimal("0.01")))}</cac:Price></cac:InvoiceLine>
</Invoice>
"""

    def order_xml(self) -> str:
        price = self._price()
        return f"""<?xml version="1.0" encoding="UTF-8"?>
<Order xmlns="urn:oasis:names:specification:ubl:schema:xsd:Order-2" {_NS}>
<cbc:ID>{self.order}</cbc:ID><cbc:IssueDate>2026-10-05</cbc:IssueDate>
<cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>
<cac:BuyerCustomerParty>{_BUYER}</cac:BuyerCustomerParty>
<cac:SellerSupplierParty>{_SELLER}</cac:SellerSupplierParty>
<cac:OrderLine><cac:LineItem><cbc:ID>1</cbc:ID>
<cbc:Quantity unitCode="C62">{_QUANTITY}</cbc:Quantity>
{_money("LineExtensionAmount", price * _QUANTITY)}
<cac:Price>{_money("PriceAmount", price)}</cac:Price>{_item()}
</cac:LineItem></cac:OrderLine>
</Order>
"""

    def receipt(self) -> dict[str, str]:
        return {
            "id": f"GR-{self.index:05d}",
            "order_number": self.order,
            "order_line_id": "1",
            "quantity": str(_QUANTITY),
            "received_on": "2026-10-20",
        }

    def _price(self) -> Decimal:
        # Far from each other, so that no invoice looks like a duplicate; small, so that none
        # needs a person for its amount.
        return Decimal(5) + Decimal(self.index)


def write_seed(folder: Path, invoices: list[Invoice]) -> None:
    """Write what the ERP must know before the invoices arrive."""
    (folder / "orders").mkdir(parents=True)
    supplier = {
        "id": "SUP-100",
        "name": "Nordwind Bürobedarf GmbH",
        "status": "active",
        "vat_id": "DE999100007",
        "identifiers": ["4099999100009"],
        "bank_accounts": [_ON_FILE],
    }
    (folder / "suppliers.json").write_text(json.dumps([supplier]))
    (folder / "receipts.json").write_text(json.dumps([each.receipt() for each in invoices]))
    for each in invoices:
        (folder / "orders" / f"{each.order}.xml").write_text(each.order_xml())


def _money(name: str, amount: Decimal) -> str:
    return f'<cbc:{name} currencyID="EUR">{amount.quantize(Decimal("0.01"))}</cbc:{name}>'


def _party(name: str, endpoint: str, vat: str, identifier: str = "") -> str:
    known = (
        f"<cac:PartyIdentification><cbc:ID>{identifier}</cbc:ID></cac:PartyIdentification>"
        if identifier
        else ""
    )
    return (
        f'<cac:Party><cbc:EndpointID schemeID="0088">{endpoint}</cbc:EndpointID>{known}'
        f"<cac:PartyName><cbc:Name>{name}</cbc:Name></cac:PartyName>"
        f"<cac:PartyTaxScheme><cbc:CompanyID>{vat}</cbc:CompanyID>"
        "<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme>"
        f"<cac:PartyLegalEntity><cbc:RegistrationName>{name}</cbc:RegistrationName>"
        "</cac:PartyLegalEntity></cac:Party>"
    )


_TAX = (
    "<cbc:ID>S</cbc:ID><cbc:Percent>19</cbc:Percent>"
    "<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme>"
)
_SELLER = _party("Nordwind Bürobedarf GmbH", "4099999100009", "DE999100007", "SUP-100")
_BUYER = _party("Brückner Maschinenbau GmbH", "4099999000002", "DE999000008")


def _item() -> str:
    return (
        "<cac:Item><cbc:Name>Desk lamp</cbc:Name>"
        "<cac:SellersItemIdentification><cbc:ID>LA-1</cbc:ID></cac:SellersItemIdentification>"
        f"<cac:ClassifiedTaxCategory>{_TAX}</cac:ClassifiedTaxCategory></cac:Item>"
    )
