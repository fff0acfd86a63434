"""Authentication of protocol calls: policies by name, secrets by reference.

What comes out holds the secrets themselves. It is made anew whenever it is needed and is never part
of a journal.
"""

from __future__ import annotations

from typing import Any

from parley_coordinator.workflow.calls import AuthenticationPolicy
from parley_coordinator.workflow.errors import Standard, WorkflowError
from parley_coordinator.workflow.fields import Strict
from parley_coordinator.workflow.frame import Frame, configuration_error
from parley_coordinator.workflow.machine import Machine


async def resolve(
    machine: Machine, policy: AuthenticationPolicy | None, data: Any, frame: Frame
) -> dict[str, Any] | None:
    """Return the policy with everything that it refers to.

    Returns:
        `{scheme: basic, username, password}`, `{scheme: bearer, token}`, or
        `{scheme: oauth2, authority, endpoints, client, scopes, audiences, request}`.

    Raises:
        WorkflowError: `configuration`, if a name is not defined or a member is missing;
            `authorization`, if a secret is, or a member of it.
    """
    if policy is None:
        return None
    if policy.use is not None:
        named = machine.document.use.authentications.get(policy.use)
        if named is None or named.use is not None:
            detail = f"`use.authentications` has no {policy.use!r}"
            raise configuration_error(detail, frame.place.path)
        policy = named
    secrets = {name: machine.effects.secret(name) for name in machine.document.use.secrets}
    scope = {**frame.scope, "secrets": secrets}

    async def members(spec: Strict, secret: str | None, alone: str = "") -> dict[str, Any]:
        if secret is not None:
            value = machine.effects.secret(secret)
            if isinstance(value, dict):
                return value
            return {alone: value} if alone else {}
        given = spec.model_dump(mode="json", by_alias=True, exclude={"use"}, exclude_none=True)
        found: dict[str, Any] = await machine.expressions.evaluate(given, data, scope)
        return found

    if policy.basic is not None:
        basic = await members(policy.basic, policy.basic.use)
        return {"scheme": "basic", **_texts(basic, ("username", "password"), frame)}
    if policy.bearer is not None:
        bearer = await members(policy.bearer, policy.bearer.use, "token")
        return {"scheme": "bearer", **_texts(bearer, ("token",), frame)}
    if policy.oauth2 is None:
        raise configuration_error("the authentication has no scheme", frame.place.path)
    defaults = policy.oauth2.model_dump(mode="json", by_alias=True, exclude={"use"})
    oauth2 = {**defaults, **await members(policy.oauth2, policy.oauth2.use)}
    client = oauth2["client"] if isinstance(oauth2["client"], dict) else {}
    known = {"authority": oauth2["authority"], "client.id": client.get("id")}
    _texts(known, ("authority", "client.id"), frame)
    return {"scheme": "oauth2", **oauth2}


def _texts(found: dict[str, Any], names: tuple[str, ...], frame: Frame) -> dict[str, str]:
    """Return the members of these names.

    Raises:
        WorkflowError: `authorization`, naming what is missing, never what is there.
    """
    missing = [name for name in names if not isinstance(found.get(name), str) or not found[name]]
    if missing:
        raise WorkflowError(
            Standard.AUTHORIZATION,
            "The credentials are not complete",
            f"missing: {', '.join(missing)}",
            instance=frame.place.path,
        )
    return {name: found[name] for name in names}
