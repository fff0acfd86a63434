"""Text that a run has computed, and that goes into a column of its own: JSON can say more than that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parley_wire.errors import UnstorableTextError

from parley_coordinator.workflow.errors import Standard, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Iterable


def check_storable(texts: Iterable[str], what: str, path: str) -> None:
    """Refuse what a database cannot store, whichever database it is.

    Raises:
        WorkflowError: `validation`; its detail begins with the code of `UnstorableTextError`.
    """
    for text in texts:
        if "\0" in text:
            raise unstorable(what, "it contains the character U+0000", path)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise unstorable(what, "it contains half of a surrogate pair", path) from None


def unstorable(what: str, problem: str, path: str) -> WorkflowError:
    title = f"The {what} cannot be stored"
    detail = f"{UnstorableTextError.code}: {problem}"
    return WorkflowError(Standard.VALIDATION, title, detail, instance=path)


def is_unstorable(exc: BaseException) -> bool:
    """Tell whether nothing but text that cannot be stored has made this happen."""
    if isinstance(exc, BaseExceptionGroup):
        return all(is_unstorable(each) for each in exc.exceptions)
    return isinstance(exc, UnstorableTextError)
