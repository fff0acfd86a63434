"""Errors inside a run: values that a workflow can raise and catch (RFC 7807).

The standard types, their default statuses, and what raises them here:

============== === ==========================================================================
configuration  400 the document asks for something that is not there (a flow target, a function)
validation     400 a value does not fit the schema of an input, an output or the context
expression     400 an expression failed on this input
authentication 401 an agent did not accept who we are
authorization  403 an agent or a policy refused
timeout        408 a deadline passed
communication  500 an agent could not be reached, or its answer was lost
runtime        500 an agent failed, rejected or answered rubbish
============== === ==========================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

BASE: Final = "https://serverlessworkflow.io/spec/1.0.0/errors/"
"""The spelling in which errors are written. Three others mean the same, see `same_type`."""

_SPELLINGS: Final = tuple(
    f"https://{host}/{folder}/"
    for host in ("serverlessworkflow.io", "open-workflow-specification.org")
    for folder in ("spec/1.0.0/errors", "dsl/errors/types")
)

NO_RESULT: Final = 502
"""The status of a `runtime` error of a step that was done and brought no valid result."""
_FILTERS: Final = ("type", "status", "title", "detail", "instance")


class Standard(StrEnum):
    """The standard error types."""

    CONFIGURATION = BASE + "configuration"
    VALIDATION = BASE + "validation"
    EXPRESSION = BASE + "expression"
    AUTHENTICATION = BASE + "authentication"
    AUTHORIZATION = BASE + "authorization"
    TIMEOUT = BASE + "timeout"
    COMMUNICATION = BASE + "communication"
    RUNTIME = BASE + "runtime"


STATUS: Final[Mapping[Standard, int]] = {
    Standard.CONFIGURATION: 400,
    Standard.VALIDATION: 400,
    Standard.EXPRESSION: 400,
    Standard.AUTHENTICATION: 401,
    Standard.AUTHORIZATION: 403,
    Standard.TIMEOUT: 408,
    Standard.COMMUNICATION: 500,
    Standard.RUNTIME: 500,
}
_STATUS_BY_TYPE: Final = {str(standard): status for standard, status in STATUS.items()}


def _canonical(type_uri: object) -> object:
    if isinstance(type_uri, str):
        for spelling in _SPELLINGS:
            if type_uri.startswith(spelling):
                return BASE + type_uri[len(spelling) :]
    return type_uri


def same_type(one: object, other: object) -> bool:
    """Compare two error types modulo the four published spellings of the standard ones."""
    return _canonical(one) == _canonical(other)


class WorkflowError(Exception):
    """An error of a run. It faults the run unless a `catch` of the document takes it.

    Not a `ParleyError`: it never answers a request, it is the outcome of work.

    Args:
        type: A URI; the standard ones are in `Standard`.
        status: As in HTTP; None takes the default of a standard type, else 500.
        instance: JSON pointer of the task; the interpreter fills it in.
    """

    def __init__(
        self,
        type: str,  # noqa: A002 - the name in RFC 7807
        title: str,
        detail: str | None = None,
        *,
        status: int | None = None,
        instance: str | None = None,
    ) -> None:
        super().__init__(f"{title}: {detail}" if detail else title)
        canonical = str(_canonical(type))
        default = _STATUS_BY_TYPE.get(canonical, 500)
        self.type = str(type)
        self.status = default if status is None else status
        self.title = title
        self.detail = detail
        self.instance = instance
        self.from_callee = False
        """The workflow that was called faulted with it: a timeout is not one of ours."""
        self.limited = False
        """An expression was stopped at a limit of this machine: another try might end otherwise."""

    def is_a(self, type_uri: str) -> bool:
        return same_type(self.type, type_uri)

    def as_json(self) -> dict[str, Any]:
        """Return RFC 7807 members; those that are not known are left out."""
        members = {
            "type": self.type,
            "status": self.status,
            "title": self.title,
            "detail": self.detail,
            "instance": self.instance,
        }
        return {name: value for name, value in members.items() if value is not None}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> WorkflowError:
        """Read back what `as_json` wrote into a journal."""
        return cls(
            body["type"],
            body.get("title") or "",
            body.get("detail"),
            status=body["status"],
            instance=body.get("instance"),
        )

    def matches(self, wanted: Mapping[str, Any]) -> bool:
        """Tell whether every member that `wanted` names is equal; an empty filter takes all."""
        mine = self.as_json()
        return all(
            same_type(mine.get(name), wanted[name])
            if name == "type"
            else mine.get(name) == wanted[name]
            for name in _FILTERS
            if wanted.get(name) is not None
        )
