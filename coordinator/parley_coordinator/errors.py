"""The coordinator's branch of the error tree.

::

    CoordinatorError
    ├── UnknownRunError            404 unknown_run
    ├── UnknownItemError           404 unknown_item
    ├── UnknownPushError           404 unknown_push
    ├── PushTokenError             401 push_token
    ├── UnknownWorkflowError       404 unknown_workflow
    ├── UnknownAgentError          404 unknown_agent
    ├── UnknownVersionError        404 unknown_version
    ├── InvalidRequestError        400 invalid_request
    ├── InvalidInputError          400 invalid_input
    ├── InvalidDecisionError       400 invalid_decision
    ├── InvalidWorkflowError       400 invalid_workflow
    ├── InvalidEventError          400 invalid_event
    ├── ReservedEventError         403 event_reserved
    ├── EventConflictError         409 event_conflict
    ├── EventTooLargeError         413 event_too_large
    ├── DiagramTooLargeError       413 diagram_too_large
    ├── UnauthenticatedError       401 unauthenticated
    ├── NotPermittedError          403 not_permitted
    ├── NotEligibleError           403 not_eligible
    ├── AlreadyDecidedError        409 already_decided
    ├── ItemClosedError            409 item_closed
    ├── StaleDigestError           409 stale_digest
    ├── IdempotencyConflictError   409 idempotency_conflict
    ├── RunFinishedError           409 run_finished
    ├── NotRepairableError         409 not_repairable
    ├── WouldRunAgainError         409 would_run_again
    ├── UnknownStepError           400 unknown_step
    ├── VersionTakenError          409 version_taken
    ├── VersionDeprecatedError     409 version_deprecated
    ├── CurrentVersionError        409 current_version
    ├── NoPreviousVersionError     409 no_previous_version
    └── ChecksBusyError            503 checks_busy
"""

from __future__ import annotations

from typing import ClassVar

from parley_cards.errors import Kind, ParleyError


class CoordinatorError(ParleyError):
    """A failure that the coordinator foresaw."""


class UnknownRunError(CoordinatorError):
    """There is no such run, or the caller may not see it: the two are not told apart."""

    code: ClassVar[str] = "unknown_run"
    kind: ClassVar[Kind] = Kind.NOT_FOUND

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id[:80]!r} that you may see", run=run_id[:80])


class UnknownArtifactError(CoordinatorError):
    """There is no such artifact, or the caller may see no run that has it."""

    code: ClassVar[str] = "unknown_artifact"
    kind: ClassVar[Kind] = Kind.NOT_FOUND

    def __init__(self, digest: str) -> None:
        super().__init__(f"there is no artifact {digest[:80]!r} that you may see")


class UnknownPushError(CoordinatorError):
    """No webhook was made with this id."""

    code: ClassVar[str] = "unknown_push"
    kind: ClassVar[Kind] = Kind.NOT_FOUND

    def __init__(self) -> None:
        super().__init__("there is no such webhook")


class PushTokenError(CoordinatorError):
    """A push does not carry the token of its webhook."""

    code: ClassVar[str] = "push_token"
    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("send the token of the webhook as X-A2A-Notification-Token")


class UnknownItemError(CoordinatorError):
    """There is no such work item, or the caller may not see it."""

    code: ClassVar[str] = "unknown_item"
    kind: ClassVar[Kind] = Kind.NOT_FOUND

    def __init__(self, item_id: str) -> None:
        super().__init__(f"there is no work item {item_id[:80]!r} that you may see")


class UnknownAgentError(CoordinatorError):
    """The registry has no agent of that name."""

    code: ClassVar[str] = "unknown_agent"
    kind: ClassVar[Kind] = Kind.NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"the registry knows no agent {name[:80]!r}")


class UnknownWorkflowError(CoordinatorError):
    """No workflow of that name is loaded."""

    code: ClassVar[str] = "unknown_workflow"
    kind: ClassVar[Kind] = Kind.NOT_FOUND

    def __init__(self, name: str, *, known: list[str]) -> None:
        super().__init__(
            f"there is no workflow {name[:80]!r}; there are: {', '.join(known) or 'none'}",
            known=known,
        )


class UnknownVersionError(CoordinatorError):
    """The workflow is deployed, but not in this version."""

    code: ClassVar[str] = "unknown_version"
    kind: ClassVar[Kind] = Kind.NOT_FOUND

    def __init__(self, name: str, version: str, *, known: list[str]) -> None:
        super().__init__(
            f"{name} has no version {version[:80]!r}; it has: {', '.join(known)}", known=known
        )


class InvalidRequestError(CoordinatorError):
    """The request itself is malformed."""

    code: ClassVar[str] = "invalid_request"
    kind: ClassVar[Kind] = Kind.INVALID


class InvalidInputError(CoordinatorError):
    """The input of a run does not fit the workflow's input schema; nothing was started."""

    code: ClassVar[str] = "invalid_input"
    kind: ClassVar[Kind] = Kind.INVALID


class InvalidDecisionError(CoordinatorError):
    """The outcome or a value does not fit the form; the item stays open."""

    code: ClassVar[str] = "invalid_decision"
    kind: ClassVar[Kind] = Kind.INVALID


class InvalidWorkflowError(CoordinatorError):
    """The document is not a workflow that may run; `facts["findings"]` lists every reason."""

    code: ClassVar[str] = "invalid_workflow"
    kind: ClassVar[Kind] = Kind.INVALID


class InvalidEventError(CoordinatorError):
    """It is no CloudEvent with JSON data; `facts["findings"]` lists every reason."""

    code: ClassVar[str] = "invalid_event"
    kind: ClassVar[Kind] = Kind.INVALID


class ReservedEventError(CoordinatorError):
    """Only the coordinator and its workflows announce this."""

    code: ClassVar[str] = "event_reserved"
    kind: ClassVar[Kind] = Kind.FORBIDDEN


class EventConflictError(CoordinatorError):
    """Another event of this source has this id; nothing was accepted."""

    code: ClassVar[str] = "event_conflict"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(self, source: str, event_id: str) -> None:
        super().__init__(
            "another event of this source has this id; give each event an id of its own",
            source=source,
            id=event_id,
        )


class DiagramTooLargeError(CoordinatorError):
    """The workflow has more steps than anybody sees in one picture; its outline has all of them."""

    code: ClassVar[str] = "diagram_too_large"
    kind: ClassVar[Kind] = Kind.TOO_LARGE


class EventTooLargeError(CoordinatorError):
    """One event is larger than listeners have to take."""

    code: ClassVar[str] = "event_too_large"
    kind: ClassVar[Kind] = Kind.TOO_LARGE

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"an event has at most {limit} bytes of JSON; send a link to what is larger",
            limit=limit,
        )


class UnauthenticatedError(CoordinatorError):
    """No token, or none that is known."""

    code: ClassVar[str] = "unauthenticated"
    kind: ClassVar[Kind] = Kind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("send a valid token: Authorization: Bearer ...")


class NotPermittedError(CoordinatorError):
    """The caller's roles do not grant this."""

    code: ClassVar[str] = "not_permitted"
    kind: ClassVar[Kind] = Kind.FORBIDDEN


class NotEligibleError(CoordinatorError):
    """The person may decide in general, but not this item."""

    code: ClassVar[str] = "not_eligible"
    kind: ClassVar[Kind] = Kind.FORBIDDEN


class AlreadyDecidedError(CoordinatorError):
    """Somebody decided this item first."""

    code: ClassVar[str] = "already_decided"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(self, *, item_id: str, decided_by: str, outcome: str) -> None:
        super().__init__(
            f"{decided_by} has already decided this item: {outcome}",
            item=item_id,
            decidedBy=decided_by,
            outcome=outcome,
        )
        self.decided_by = decided_by


class ItemClosedError(CoordinatorError):
    """The item expired, was withdrawn or superseded before the decision arrived."""

    code: ClassVar[str] = "item_closed"
    kind: ClassVar[Kind] = Kind.CONFLICT


class StaleDigestError(CoordinatorError):
    """The decision names another proposal than the one that is open now."""

    code: ClassVar[str] = "stale_digest"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(self, *, item_id: str, current: str) -> None:
        super().__init__(
            "the proposal is not the one you decided on; read the item again",
            item=item_id,
            digest=current,
        )


class IdempotencyConflictError(CoordinatorError):
    """The Idempotency-Key was used before, for another request."""

    code: ClassVar[str] = "idempotency_conflict"
    kind: ClassVar[Kind] = Kind.CONFLICT


class RunFinishedError(CoordinatorError):
    """The run has ended; nothing more can happen to it."""

    code: ClassVar[str] = "run_finished"
    kind: ClassVar[Kind] = Kind.CONFLICT


class NotRepairableError(CoordinatorError):
    """The run is under way, has completed, or somebody else answers for it."""

    code: ClassVar[str] = "not_repairable"
    kind: ClassVar[Kind] = Kind.CONFLICT


class WouldRunAgainError(CoordinatorError):
    """Going on from there repeats what had an effect, or may have had one."""

    code: ClassVar[str] = "would_run_again"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(self, steps: list[str]) -> None:
        shown = ", ".join(steps[:5]) + (f" and {len(steps) - 5} more" if len(steps) > 5 else "")
        super().__init__(
            f"these have run, or may have, and would run again: {shown};"
            " go on from a later step, skip them, or say `again`",
            steps=steps[:100],
        )


class UnknownStepError(CoordinatorError):
    """The document has no such step, or several of that name."""

    code: ClassVar[str] = "unknown_step"
    kind: ClassVar[Kind] = Kind.INVALID


class VersionTakenError(CoordinatorError):
    """A version means one document for ever, and this is another one."""

    code: ClassVar[str] = "version_taken"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(self, source: str, name: str, version: str, *, deployed: str) -> None:
        super().__init__(
            f"{source}: {name} {version} is deployed with other content;"
            " raise `document.version` and deploy again",
            workflow=name,
            version=version,
            digest=deployed,
        )


class VersionDeprecatedError(CoordinatorError):
    """No new run starts on a deprecated version, and it does not become current again."""

    code: ClassVar[str] = "version_deprecated"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(self, name: str, version: str, *, current: str) -> None:
        super().__init__(
            f"{name} {version} is deprecated; use {current}, or deploy its content as a new version",
            workflow=name,
            version=version,
            current=current,
        )


class CurrentVersionError(CoordinatorError):
    """New runs need a version to start on."""

    code: ClassVar[str] = "current_version"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(self, name: str, version: str) -> None:
        super().__init__(
            f"{name} {version} is current; deploy or roll back to another version first",
            workflow=name,
            version=version,
        )


class NoPreviousVersionError(CoordinatorError):
    """There is nothing to roll back to."""

    code: ClassVar[str] = "no_previous_version"
    kind: ClassVar[Kind] = Kind.CONFLICT

    def __init__(self, name: str, version: str) -> None:
        super().__init__(
            f"no version of {name} that may run was deployed before {version}; name one,"
            " or deploy a new one",
            workflow=name,
            version=version,
        )


class ChecksBusyError(CoordinatorError):
    """More documents wait to be checked than is fair to those that are waiting."""

    code: ClassVar[str] = "checks_busy"
    kind: ClassVar[Kind] = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("too many documents are being checked; try again in a moment")
