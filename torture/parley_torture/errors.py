"""What can keep the kit from asking.

::

    TortureError          7 torture
    └── AdapterError      7 adapter_broken
"""

from __future__ import annotations

from typing import ClassVar

from parley_cards.errors import Kind, ParleyError


class TortureError(ParleyError):
    """The kit cannot do what it was asked for."""

    code: ClassVar[str] = "torture"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE


class AdapterError(TortureError):
    """The adapter is not there, or does not keep to the protocol."""

    code: ClassVar[str] = "adapter_broken"
