"""Reads the text of a case file: strictly, with line and column for what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from parley_cards import strict_json
from parley_cards.canonical import digest
from parley_cards.errors import ParleyError
from pydantic import ValidationError

from parley_coordinator.rehearsing import cases, expect
from parley_coordinator.rehearsing.cases import Case, CaseBody, CasesBody, Given, together
from parley_coordinator.workflow.fields import Strict
from parley_coordinator.workflow.findings import Finding, Positions, escape, refuse
from parley_coordinator.workflow.model_findings import model_findings
from parley_coordinator.workflow.source import MAX_BYTES, read

FROM_FILE: Final = "fromFile"
MAX_FILLED: Final = 33_554_432
"""Bytes that files may add to one case file, each as often as it is named."""
_NOTHING: Final = Given.model_validate({})
_READ_AS: Final = ("json", "text", "yaml")
_KEYS: Final = sorted(
    {
        model_field.alias or name
        for module in (cases, expect)
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, Strict)
        for name, model_field in model.model_fields.items()
    }
)

ReadFile = Callable[[str], bytes]
"""Reads what `fromFile` names, relative to the case file. Raises OSError, or ValueError."""


def load_cases(raw: bytes | str, *, source: str, read_file: ReadFile) -> list[Case]:
    """Load the cases of one file, in the order of the text.

    Raises:
        InvalidWorkflowError: With every reason, each with line and column, in `facts["findings"]`.
    """
    written, positions = read(raw, source=source)
    if not isinstance(written, dict):
        fix = "start with `case:`, or with `cases:` and a list"
        raise refuse(source, [positions.finding("", "case", "a case is an object", fix)])
    value = _Files(source, positions, read_file).filled(written)
    try:
        digest(value)
    except ValueError as exc:
        finding = positions.finding("", "case", f"no canonical form: {exc}", "change the value")
        raise refuse(source, [finding]) from exc
    try:
        if "cases" not in value:
            body = CaseBody.model_validate(value)
            return [_case(source, "", _NOTHING, body, positions)]
        many = CasesBody.model_validate(value)
    except ValidationError as exc:
        choice = "an answer, a name, or a list of them"
        raise refuse(source, model_findings(exc, positions, keys=_KEYS, choice=choice)) from exc
    found = [
        _case(source, f"/cases/{index}", many, body, positions)
        for index, body in enumerate(many.cases)
    ]
    twice = list(_named_twice(found))
    if twice:
        raise refuse(source, twice)
    return found


def _case(source: str, path: str, shared: Given, own: CaseBody, positions: Positions) -> Case:
    given, theirs = together(shared, own)
    return Case(
        name=own.case,
        source=source,
        path=path,
        given=given,
        expect=own.expect,
        shared=theirs,
        positions=positions,
    )


def _named_twice(found: list[Case]) -> Iterator[Finding]:
    names: set[str] = set()
    for case in found:
        if case.name in names:
            message = "two cases of one file have the same name"
            yield case.positions.finding(f"{case.path}/case", "name", message, "rename one of them")
        names.add(case.name)


class _Files:
    """Puts what files hold in the place of `{fromFile: PATH, as: json|text|yaml, at: POINTER}`."""

    def __init__(self, source: str, positions: Positions, read_file: ReadFile) -> None:
        self._source = source
        self._positions = positions
        self._read_file = read_file
        self._known: dict[tuple[str, str], tuple[Any, int]] = {}
        self._left = MAX_FILLED

    def filled(self, value: Any, path: str = "") -> Any:
        if isinstance(value, dict):
            if FROM_FILE in value:
                return self._content(value, path)
            return {
                name: self.filled(member, f"{path}/{escape(name)}")
                for name, member in value.items()
            }
        if isinstance(value, list):
            return [self.filled(element, f"{path}/{i}") for i, element in enumerate(value)]
        return value

    def _content(self, value: dict[str, Any], path: str) -> Any:
        name, form, at = value[FROM_FILE], value.get("as"), value.get("at", "")
        if not isinstance(name, str) or not name or set(value) - {FROM_FILE, "as", "at"}:
            raise self._refuse(path, "`fromFile` is a path, and stands alone or with `as` and `at`")
        if form is None:
            form = _form_of(name)
        if form not in _READ_AS:
            raise self._refuse(path, f"`as` is one of {', '.join(_READ_AS)}")
        try:
            return _part(self._whole(name, form), at)
        except OSError as exc:
            why = exc.strerror or "it cannot be read"
            raise self._refuse(path, f"cannot read {name[:200]}: {why}") from exc
        except ParleyError as exc:
            raise self._refuse(path, f"{name[:200]}: {exc.message}") from exc
        except ValueError as exc:
            raise self._refuse(path, f"{name[:200]}: {exc}") from exc

    def _whole(self, name: str, form: str) -> Any:
        """Return what a file holds; it is read once.

        Raises:
            OSError, ParleyError, ValueError: If it cannot be used.
        """
        if (name, form) not in self._known:
            raw = self._read_file(name)
            self._known[name, form] = _parsed(raw, form, name), len(raw)
        found, size = self._known[name, form]
        self._left -= size
        if self._left < 0:
            raise ValueError(f"files add more than {MAX_FILLED} bytes")
        return found

    def _refuse(self, path: str, message: str) -> Exception:
        fix = "write {fromFile: ../samples/invoice.xml}, relative to this file"
        return refuse(self._source, [self._positions.finding(path, "file", message, fix)])


def _form_of(name: str) -> str:
    suffix = name.rpartition(".")[2].lower()
    return {"json": "json", "yaml": "yaml", "yml": "yaml"}.get(suffix, "text")


def _part(value: Any, pointer: Any) -> Any:
    """Return what a JSON pointer (RFC 6901) points at.

    Raises:
        ValueError: If there is nothing.
    """
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise ValueError("`at` is a JSON pointer: /capture-invoice/output")
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key in map(str, range(len(value))):
            value = value[int(key)]
        else:
            raise ValueError(f"there is nothing at {pointer[:200]}")
    return value


def _parsed(raw: bytes, form: str, name: str) -> Any:
    if len(raw) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    if form == "json":
        return strict_json.loads(raw)
    if form == "yaml":
        return read(raw, source=name)[0]
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ValueError("it is not UTF-8") from exc
