"""What the answers of a registry mean to its client."""

from __future__ import annotations

from typing import Any, Final

from parley_cards import strict_json
from parley_cards.card import InvalidCardError
from parley_cards.errors import ParleyError
from parley_cards.findings import Finding
from pydantic import ValidationError

from parley_registry.errors import (
    CardUnreachableError,
    NameTakenError,
    RegistryAnswerError,
    RegistryAuthError,
    RegistryRefusedError,
    RegistryUnavailableError,
    UnknownAgentError,
)
from parley_registry.records import AgentRecord, record_from_json

MAX_ANSWER_BYTES: Final = 4 * 1_048_576


def json_of(body: bytes) -> Any:
    """Parse what the registry sent.

    Raises:
        RegistryAnswerError: If it is not strict JSON.
    """
    try:
        return strict_json.loads(body, max_bytes=MAX_ANSWER_BYTES)
    except ParleyError as exc:
        raise RegistryAnswerError(f"the registry's answer is not JSON: {exc.message}") from exc


def record_of(value: object) -> AgentRecord:
    """Read one agent record.

    Raises:
        RegistryAnswerError: If it is none.
    """
    try:
        return record_from_json(value)
    except ValidationError as exc:
        raise RegistryAnswerError("the registry answered with something else than agents") from exc


def refusal(status: int, body: bytes, agent: str) -> ParleyError:
    """Return the error that an answer other than 2xx means.

    Args:
        agent: Whom the request was about, if it was about one.
    """
    try:
        value = strict_json.loads(body, max_bytes=MAX_ANSWER_BYTES)
    except ParleyError:
        value = None
    problem: dict[str, Any] = value if isinstance(value, dict) else {}
    code, detail = str(problem.get("code", "")), str(problem.get("detail", ""))[:500]
    if status in (401, 403):
        return RegistryAuthError("the registry refuses the token; check PARLEY_MESH_TOKEN")
    if code == UnknownAgentError.code:
        return UnknownAgentError(agent)
    if code == NameTakenError.code:
        holder = str(problem.get("holder", "another address"))[:200]
        return NameTakenError(str(problem.get("agent", agent))[:80], holder=holder)
    if code == InvalidCardError.code:
        return InvalidCardError(_findings(problem) or [Finding("", detail)])
    if code == CardUnreachableError.code:
        return CardUnreachableError(detail, url=str(problem.get("url", ""))[:200])
    if status >= 500 or status == 429:
        return RegistryUnavailableError(f"the registry answered {status}: {detail or 'no reason'}")
    if not code:
        return RegistryAnswerError(f"something else than a registry answered, with {status}")
    return RegistryRefusedError(detail or f"the registry refused with {status}", registry_code=code)


def _findings(problem: dict[str, Any]) -> list[Finding]:
    listed = problem.get("findings")
    return [
        Finding(str(each.get("path", "")), str(each.get("problem", "")))
        for each in (listed if isinstance(listed, list) else [])[:50]
        if isinstance(each, dict)
    ]
