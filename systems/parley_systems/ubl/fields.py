"""Reading single values out of a UBL tree by path, each either right or refused with its line.

A path is `cac:Party/cac:PartyName/cbc:Name`. Every step but the last must be there at most once: an
element that appears twice where UBL wants one is refused, because two readers may pick different ones.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from decimal import Decimal
from typing import Final

from parley_systems.amounts import parse_amount
from parley_systems.errors import DocumentTooLargeError, InvalidDocumentError
from parley_systems.ubl.xml import Element

NAMESPACES: Final = {
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}
MAX_ID: Final = 200
MAX_TEXT: Final = 500
_DATE: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2})?\Z", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3}\Z", re.ASCII)
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that a reader does not see, or that reorder what is seen."""


def every(element: Element, path: str) -> list[Element]:
    """Return all elements at `path`, in document order; every step may repeat."""
    found = [element]
    for step in path.split("/"):
        prefix, _, name = step.partition(":")
        namespace = NAMESPACES[prefix]
        found = [child for each in found for child in each.all(namespace, name)]
    return found


def at_most(limit: int, element: Element, path: str) -> list[Element]:
    """Like `every`, and refuse more than `limit`.

    Raises:
        DocumentTooLargeError: If there are more.
    """
    found = every(element, path)
    if len(found) > limit:
        raise DocumentTooLargeError(
            f"the {element.name} in line {element.line} has {len(found)} {path},"
            f" {limit} are allowed",
            limit=limit,
            line=element.line,
        )
    return found


def find(element: Element, path: str) -> Element | None:
    """Return the only element at `path`, or None."""
    here: Element | None = element
    for step in path.split("/"):
        if here is None:
            return None
        prefix, _, name = step.partition(":")
        here = here.one(NAMESPACES[prefix], name)
    return here


def require(element: Element, path: str) -> Element:
    """Return the only element at `path`.

    Raises:
        InvalidDocumentError: If there is none, or two.
    """
    found = find(element, path)
    if found is None:
        raise InvalidDocumentError(
            f"{path} is missing in {element.name} in line {element.line}",
            line=element.line,
            element=path,
        )
    return found


def text(element: Element, path: str) -> str:
    """Return descriptive text, cleaned and cut at 500 characters; empty if absent."""
    found = find(element, path)
    return "" if found is None else clean(found.text)[:MAX_TEXT].rstrip()


def first_text(element: Element, path: str) -> str:
    """Like `text`, where the path may lead to several elements, of which the first counts."""
    found = every(element, path)
    return clean(found[0].text)[:MAX_TEXT].rstrip() if found else ""


def clean(value: str) -> str:
    """Return NFC without characters that nobody sees."""
    normal = unicodedata.normalize("NFC", value)
    return "".join(char for char in normal if unicodedata.category(char) not in _UNSEEN)


def identifier(element: Element, path: str) -> str | None:
    """Return an identifier, or None if it is absent or empty."""
    found = find(element, path)
    return None if found is None else identifier_of(found)


def identifier_of(element: Element) -> str | None:
    """Return the identifier that `element` holds; None if it is empty.

    Raises:
        InvalidDocumentError: If it has more than 200 characters or one that nobody sees.
    """
    return _identifier(element.text, element.name, element.line)


def attribute(element: Element, name: str) -> str | None:
    """Return the identifier in an attribute; raises as `identifier_of`."""
    return _identifier(element.attributes.get(name, "").strip(), name, element.line)


def _identifier(raw: str, name: str, line: int) -> str | None:
    value = unicodedata.normalize("NFC", raw)
    if len(value) > MAX_ID or clean(value) != value:
        raise InvalidDocumentError(
            f"{name} in line {line} is no identifier: at most {MAX_ID} visible"
            " characters are allowed",
            line=line,
            element=name,
        )
    return value or None


def require_identifier(element: Element, path: str) -> str:
    found = require(element, path)
    value = identifier_of(found)
    if value is None:
        raise InvalidDocumentError(
            f"{path} in line {found.line} is empty", line=found.line, element=path
        )
    return value


def day(element: Element, path: str) -> date | None:
    """Return a date; a time zone after it is dropped.

    Raises:
        InvalidDocumentError: If it is not a day of the calendar as `YYYY-MM-DD`.
    """
    found = find(element, path)
    if found is None:
        return None
    match = _DATE.match(found.text)
    try:
        return date.fromisoformat(match[1] if match else "")
    except ValueError as exc:
        raise InvalidDocumentError(
            f"{found.name} in line {found.line} is {found.text[:40]!r}; write YYYY-MM-DD",
            line=found.line,
            element=path,
        ) from exc


def currency_code(value: str, *, line: int) -> str:
    if not _CURRENCY.match(value):
        raise InvalidDocumentError(
            f"line {line}: {value[:10]!r} is no currency code such as EUR", line=line
        )
    return value


def decimal_of(element: Element) -> Decimal:
    return parse_amount(element.text, what=f"{element.name} in line {element.line}")


def decimal(element: Element, path: str) -> Decimal | None:
    """Return a quantity or a percentage, or None if it is absent."""
    found = find(element, path)
    return None if found is None else decimal_of(found)


def money_of(element: Element, currency: str) -> Decimal:
    """Return an amount that must be in `currency`.

    Raises:
        InvalidDocumentError: If it is in another currency.
    """
    stated = element.attributes.get("currencyID", "").strip()
    if stated != currency:
        raise InvalidDocumentError(
            f"{element.name} in line {element.line} is in {stated[:10]!r}, the document in"
            f" {currency}; all amounts must be in one currency",
            line=element.line,
            element=element.name,
        )
    return decimal_of(element)


def money(element: Element, path: str, currency: str) -> Decimal | None:
    found = find(element, path)
    return None if found is None else money_of(found, currency)
