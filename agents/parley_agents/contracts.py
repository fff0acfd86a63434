"""The promise of a card and the forms of the code: the same, or the agent does not start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from parley_cards.card import Card
from parley_cards.extensions import SKILL_CONTRACT
from pydantic import BaseModel

from parley_agents.errors import ContractError

Forms: TypeAlias = Mapping[str, tuple[type[BaseModel], type[BaseModel]]]
"""Of the request and the result of each skill, by its id."""


def schema_of(form: type[BaseModel], *, side: Literal["input", "output"]) -> dict[str, Any]:
    """Return the JSON Schema that a card must have for this form."""
    mode: Literal["validation", "serialization"] = (
        "validation" if side == "input" else "serialization"
    )
    schema: dict[str, Any] = _bare(form.model_json_schema(by_alias=True, mode=mode))
    return schema


def contracts_of(forms: Forms) -> dict[str, dict[str, Any]]:
    """Return the input and output schema by skill id."""
    return {
        skill_id: {
            "input": schema_of(request, side="input"),
            "output": schema_of(result, side="output"),
        }
        for skill_id, (request, result) in forms.items()
    }


def check_contracts(agent: str, card: Card, forms: Forms) -> None:
    """Compare an agent's skills with its card.

    Raises:
        ContractError: If one has a skill that the other lacks, or a schema differs.
    """
    offered = {skill.id for skill in card.skills}
    if offered != set(forms):
        raise ContractError(
            f"the card of {agent} has the skills {sorted(offered)}, its code {sorted(forms)}"
        )
    actual = contracts_of(forms)
    for skill in card.skills:
        for side, promised in (("input", skill.input_schema), ("output", skill.output_schema)):
            if promised != actual[skill.id][side]:
                raise ContractError(
                    f"the {side} schema of {skill.id} in the card of {agent} is not that of its"
                    f" code; `python -m parley_agents {agent} --contracts` prints what belongs into"
                    f" {SKILL_CONTRACT}, and a change that breaks callers needs a new version",
                    skill=skill.id,
                    side=side,
                    schema=actual[skill.id][side],
                )


def _bare(schema: Any) -> Any:
    """Return the schema without the names of Python classes and their docstrings."""
    if isinstance(schema, list):
        return [_bare(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _bare(value)
        for key, value in schema.items()
        # A property of that name has a schema, not a string.
        if not (key in {"title", "description"} and isinstance(value, str))
    }
