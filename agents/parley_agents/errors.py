"""What a skill can foresee going wrong.

::

    ParleyError
    ├── InvalidPolicyError           400 invalid_policy       (matching_policy.py)
    └── SkillError
        ├── AgentSettingsError       400 settings
        ├── ContractError            500 contract             the code and its card disagree
        ├── SystemUnavailableError   503 system_unavailable   try again: nothing, or the same, happens
        ├── SystemAnswerError        502 system_answer        a system says what it must not
        └── SystemRefusedError       422 the system's own     e.g. stale_etag, posting_refused

A skill that raises one of them ends its task as FAILED with the message and the `reported` code. Any
other exception is a defect: the caller then sees a reference only, the log has the trace.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

from parley_cards.errors import Kind, ParleyError

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class SkillError(ParleyError):
    """A failure that a skill foresaw."""

    @property
    def reported(self) -> str:
        """The code that the caller of the skill sees."""
        return self.code


class AgentSettingsError(SkillError):
    """The agent cannot be started as it was asked to."""

    code: ClassVar[str] = "settings"
    kind: ClassVar[Kind] = Kind.INVALID


class ContractError(SkillError):
    """An agent's code does not do what its card promises."""

    code: ClassVar[str] = "contract"


class SystemUnavailableError(SkillError):
    """A system of record did not answer. Asking again with the same key is safe."""

    code: ClassVar[str] = "system_unavailable"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE


class SystemAnswerError(SkillError):
    """A system of record answered something that its contract does not have."""

    code: ClassVar[str] = "system_answer"
    kind: ClassVar[Kind] = Kind.BAD_GATEWAY


class SystemRefusedError(SkillError):
    """A system of record said no, for a reason of its own; nothing was changed.

    Args:
        refusal: The code that the system gave.
        sort: What the caller can do about it, in the system's words, e.g. `not_found`.
    """

    code: ClassVar[str] = "system_refused"
    kind: ClassVar[Kind] = Kind.UNSUPPORTED

    def __init__(self, message: str, *, refusal: str, sort: str, **facts: Any) -> None:
        super().__init__(message, refusal=refusal, sort=sort, **facts)
        self.refusal = refusal
        self.sort = sort

    @property
    def reported(self) -> str:
        return self.refusal if _CODE.fullmatch(self.refusal) else self.code
