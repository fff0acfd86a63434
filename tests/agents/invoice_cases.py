"""An invoice that matches everything, and ways to spoil it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from parley_agents.matching_contract import MatchDecision, MatchRequest
from parley_agents.matching_policy import Policy, load_policy
from parley_agents.matching_rules import decide

POLICY_FILE = Path(__file__).parents[2] / "workflows" / "invoice-exception" / "policy.yaml"
IBAN = "DE02120300000000202051"
OTHER_IBAN = "DE02500105170137075030"


def record(data: Any, source: str) -> dict[str, Any]:
    return {"data": data, "etag": '"1"', "source": source, "asOf": "2026-11-23T04:00:00Z"}


MATCHING: dict[str, Any] = {
    "invoice": record(
        {
            "id": "inv-1",
            "number": "R-2041",
            "kind": "invoice",
            "supplierId": "SUP-100",
            "supplierName": "Nordwind Office Supplies",
            "currency": "EUR",
            "issueDate": "2026-11-02",
            "orderNumber": "PO-1001",
            "payeeIban": IBAN,
            "payeeAccounts": [IBAN],
            "state": "captured",
            "lines": [
                {
                    "id": "1",
                    "orderNumber": None,
                    "orderLineId": "1",
                    "itemId": "CH-7",
                    "description": "Office chair",
                    "quantity": "10",
                    "unit": "C62",
                    "unitPrice": "100.00",
                    "amount": "1000.00",
                    "taxPercent": "19",
                }
            ],
            "charges": [],
            "totals": {
                "lines": "1000.00",
                "allowances": "0",
                "charges": "0",
                "net": "1000.00",
                "tax": "190.00",
                "gross": "1190.00",
                "prepaid": "0",
                "rounding": "0",
                "payable": "1190.00",
            },
        },
        "erp:ap.invoice.get/inv-1",
    ),
    "order": record(
        {
            "number": "PO-1001",
            "supplierId": "SUP-100",
            "currency": "EUR",
            "state": "open",
            "lines": [
                {
                    "id": "1",
                    "itemId": "CH-7",
                    "description": "Chair",
                    "quantity": "10",
                    "unit": "C62",
                    "unitPrice": "100.00",
                    "amount": "1000.00",
                    "taxPercent": "19.0",
                    "invoicedQuantity": "0",
                    "invoicedAmount": "0.00",
                }
            ],
        },
        "erp:ap.order.get/PO-1001",
    ),
    "receipts": record(
        [{"id": "GR-1", "orderNumber": "PO-1001", "orderLineId": "1", "quantity": "10"}],
        "erp:ap.receipt.list/PO-1001",
    ),
    "supplier": record(
        {
            "id": "SUP-100",
            "name": "Nordwind Office Supplies",
            "status": "active",
            "vatId": "DE123456789",
            "bankAccounts": [IBAN],
        },
        "erp:ap.supplier.get/SUP-100",
    ),
    "duplicates": record([], "erp:ap.invoice.find_duplicates/inv-1"),
}


def shipped_policy() -> Policy:
    return load_policy(POLICY_FILE)


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Return the matching request after `change` was made to it."""
    request = copy.deepcopy(MATCHING)
    change(request)
    return request


def bill(quantity: str, price: str, *, tax: str = "19") -> Callable[[dict[str, Any]], None]:
    """Return a change: one line of that quantity and price, and an invoice that adds up."""
    net = Decimal(quantity) * Decimal(price)
    gross = net + net * Decimal(tax) / 100

    def change(request: dict[str, Any]) -> None:
        invoice = request["invoice"]["data"]
        invoice["lines"][0] |= {"quantity": quantity, "unitPrice": price, "amount": f"{net:.2f}"}
        invoice["totals"] |= {
            "lines": f"{net:.2f}",
            "net": f"{net:.2f}",
            "tax": f"{gross - net:.2f}",
            "gross": f"{gross:.2f}",
            "payable": f"{gross:.2f}",
        }

    return change


def decision_on(request: dict[str, Any], policy: Policy | None = None) -> MatchDecision:
    return decide(MatchRequest.model_validate(request), policy or shipped_policy())
