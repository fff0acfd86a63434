"""JSON Schema (2020-12) that never leaves the document: no remote references, errors as sentences."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from jsonschema import ValidationError
from parley_cards.contract_schema import Validator, schema_problem
from referencing import Registry

MAX_PROBLEMS: Final = 5
_MAX_SHOWN: Final = 80

JsonSchema: TypeAlias = dict[str, Any]


class Schema:
    """A schema that was checked and compiled once.

    Raises:
        ValueError: If `document` is not a JSON Schema, refers to anything outside itself, is
            recursive, or could take long (parley_cards.contract_schema).
    """

    def __init__(self, document: JsonSchema) -> None:
        problem = schema_problem(document)
        if problem:
            raise ValueError(f"the schema {problem}")
        self.document = document
        self._validator = Validator(document, registry=Registry())

    def problems(self, value: Any, *, part: JsonSchema | None = None) -> list[str]:
        """Return what does not fit, in the order of the value, at most `MAX_PROBLEMS`.

        Args:
            part: The schema inside this one that the value must fit; None: the whole.
        """
        validator = self._validator if part is None else self._validator.evolve(schema=part)
        found = sorted(validator.iter_errors(value), key=_place)
        return [_sentence(error) for error in found[:MAX_PROBLEMS]]


def problems(document: JsonSchema, value: Any) -> list[str]:
    """Return what of `value` does not fit the schema `document`; compiled schemas are cached.

    Raises:
        ValueError: As `Schema`.
    """
    return _compiled(json.dumps(document, sort_keys=True)).problems(value)


@lru_cache(maxsize=256)
def _compiled(text: str) -> Schema:
    return Schema(json.loads(text))


def _place(error: ValidationError) -> list[str]:
    return [str(step) for step in error.absolute_path]


def _sentence(error: ValidationError) -> str:
    """Say where and what, without printing a large or private value in full."""
    where = ".".join(str(step) for step in error.absolute_path) or "the value"
    return f"{where} {_problem(error)}"


def _problem(error: ValidationError) -> str:  # noqa: PLR0911 - one line per keyword
    value, wanted = error.instance, error.validator_value
    match error.validator:
        case "required" if isinstance(value, dict) and isinstance(wanted, Iterable):
            absent = [name for name in wanted if name not in value]
            return f"lacks {', '.join(map(repr, absent))}"
        case "additionalProperties" | "unevaluatedProperties":
            known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
            extra = sorted(set(value) - set(known)) if isinstance(value, dict) else []
            return f"has unknown members: {_shown(', '.join(extra))}"
        case "type":
            kinds = " or ".join(wanted) if isinstance(wanted, list) else wanted
            return f"must be {kinds}, not {_kind(value)}"
        case "enum" | "const":
            allowed = wanted if error.validator == "enum" else [wanted]
            return f"must be one of {_shown(json.dumps(allowed))}, not {_shown(json.dumps(value))}"
        case "pattern":
            return f"must look like {wanted}, which {_shown(json.dumps(value))} does not"
        case "minLength" | "minItems" | "minProperties":
            return f"is too short: at least {wanted}"
        case "maxLength" | "maxItems" | "maxProperties":
            return f"is too long: at most {wanted}"
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return f"is out of range: {error.validator} {wanted}"
        case _:
            return f"does not fit `{error.validator}`"


def _shown(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def _kind(value: Any) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")
