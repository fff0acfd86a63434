"""The part of jq that most expressions are made of, evaluated in Python: a jq program costs more.

Grammar, with jq's precedence: paths (`.a.b[0]`, `$context.x`, `.["a b"]`), literals, objects,
arrays, `( )`, `//`, `or`, `and`, `== != < <= > >=` and `+`. Whatever is outside of it, or
would fail in jq, is left to jq: a shortcut gives exactly what jq gives, or nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

from parley_coordinator.workflow import operators
from parley_coordinator.workflow.operators import ORDER, Evaluate, NoShortcutError

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])*")
    | (?P<number>\d{1,15}(?![\w.]))
    | (?P<variable>\$[A-Za-z_]\w*(?!::|\w))
    | (?P<field>\.[A-Za-z_]\w*)
    | (?P<word>[A-Za-z_]\w*(?!::|\w))
    | (?P<sign>//(?!=)|[=!<>]=|\+(?!=)|[.<>(){}\[\]:,])
    )""",
    re.VERBOSE | re.ASCII,
)
_MAX_TEXT: Final = 2000
_MAX_DEPTH: Final = 40
_CONSTANTS: Final[Mapping[str, Any]] = {"true": True, "false": False, "null": None}
_RESERVED: Final = frozenset(("and", "or", "not", "if", "then", "else", "end", "as", "def"))
_COMPARISONS: Final = ("==", "!=", *ORDER)


class _Token(NamedTuple):
    kind: str
    text: str


class Meaning(Protocol):
    """What the parts of an expression mean; the evaluators of one meaning fit together."""

    def identity(self, value: Any, _scope: operators.Scope, /) -> Any: ...
    def constant(self, constant: Any, /) -> Evaluate: ...
    def variable(self, name: str, /) -> Evaluate: ...
    def field(self, of: Evaluate, name: str, /) -> Evaluate: ...
    def item(self, of: Evaluate, index: int, /) -> Evaluate: ...
    def construct(self, members: list[tuple[str, Evaluate]], /) -> Evaluate: ...
    def sequence(self, elements: list[Evaluate], /) -> Evaluate: ...
    def otherwise(self, left: Evaluate, right: Evaluate, /) -> Evaluate: ...
    def either(self, left: Evaluate, right: Evaluate, /) -> Evaluate: ...
    def both(self, left: Evaluate, right: Evaluate, /) -> Evaluate: ...
    def compared(self, left: Evaluate, sign: str, right: Evaluate, /) -> Evaluate: ...
    def added(self, left: Evaluate, right: Evaluate, /) -> Evaluate: ...


def compile_shortcut(text: str, meaning: Meaning = operators) -> Evaluate | None:
    """Return an evaluator, or None if `text` is not in the grammar.

    The evaluator raises `NoShortcutError` for inputs on which jq must decide.

    Args:
        meaning: Of the parts; by default that of jq.
    """
    if len(text) > _MAX_TEXT:
        return None
    try:
        parser = _Parser(list(_tokens(text)), meaning)
        found = parser.alternative()
        parser.expect_end()
    except NoShortcutError:
        return None
    return found


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise NoShortcutError
        yield _Token(match.lastgroup, match.group(match.lastgroup))
        at = match.end()


class _Parser:
    """Recursive descent; each method returns the evaluator of what it has read."""

    def __init__(self, tokens: list[_Token], meaning: Meaning) -> None:
        self._tokens = tokens
        self._meaning = meaning
        self._at = 0
        self._depth = 0

    def _peek(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    def _next(self) -> _Token:
        if self._at >= len(self._tokens):
            raise NoShortcutError
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, text: str) -> bool:
        if self._peek() == text:
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise NoShortcutError

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            raise NoShortcutError

    def alternative(self) -> Evaluate:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise NoShortcutError
        left = self._disjunction()
        if self._take("//"):
            left = self._meaning.otherwise(left, self.alternative())
        self._depth -= 1
        return left

    def _disjunction(self) -> Evaluate:
        left = self._conjunction()
        while self._take("or"):
            left = self._meaning.either(left, self._conjunction())
        return left

    def _conjunction(self) -> Evaluate:
        left = self._comparison()
        while self._take("and"):
            left = self._meaning.both(left, self._comparison())
        return left

    def _comparison(self) -> Evaluate:
        left = self._sum()
        sign = self._peek()
        if sign not in _COMPARISONS:
            return left
        self._at += 1
        return self._meaning.compared(left, sign, self._sum())

    def _sum(self) -> Evaluate:
        left = self._term()
        while self._take("+"):
            left = self._meaning.added(left, self._term())
        return left

    def _term(self) -> Evaluate:
        token = self._next()
        match token.kind, token.text:
            case "string", text:
                return self._meaning.constant(json.loads(text))
            case "number", text:
                return self._meaning.constant(int(text))
            case "word", word:
                return self._constant(word)
            case "variable", name:
                return self._steps(self._meaning.variable(name[1:]))
            case "field", name:
                return self._steps(self._meaning.field(self._meaning.identity, name[1:]))
            case "sign", sign:
                return self._bracketed(sign)
        raise NoShortcutError

    def _bracketed(self, sign: str) -> Evaluate:
        if sign == ".":
            return self._steps(self._meaning.identity, root=True)
        if sign == "(":
            inner = self.alternative()
            self._expect(")")
            return self._steps(inner)
        if sign == "{":
            return self._object()
        if sign == "[":
            return self._array()
        raise NoShortcutError

    def _constant(self, word: str) -> Evaluate:
        if word not in _CONSTANTS:
            raise NoShortcutError
        return self._meaning.constant(_CONSTANTS[word])

    def _steps(self, start: Evaluate, *, root: bool = False) -> Evaluate:
        found, first = start, root
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == "field" and not first:
                self._at += 1
                found = self._meaning.field(found, token.text[1:])
            elif token.text == "[":
                self._at += 1
                found = self._index(found)
            elif first and token.kind == "string":
                self._at += 1
                found = self._meaning.field(found, json.loads(token.text))
            else:
                break
            first = False
        return found

    def _index(self, found: Evaluate) -> Evaluate:
        token = self._next()
        self._expect("]")
        if token.kind == "string":
            return self._meaning.field(found, json.loads(token.text))
        if token.kind == "number":
            return self._meaning.item(found, int(token.text))
        raise NoShortcutError

    def _object(self) -> Evaluate:
        members: list[tuple[str, Evaluate]] = []
        while not self._take("}"):
            if members:
                self._expect(",")
            members.append(self._member())
        return self._meaning.construct(members)

    def _array(self) -> Evaluate:
        elements: list[Evaluate] = []
        while not self._take("]"):
            if elements:
                self._expect(",")
            elements.append(self.alternative())
        return self._meaning.sequence(elements)

    def _member(self) -> tuple[str, Evaluate]:
        token = self._next()
        if token.kind == "variable":
            return token.text[1:], self._meaning.variable(token.text[1:])
        if token.kind == "string":
            name = json.loads(token.text)
        elif token.kind == "word" and token.text not in _RESERVED | _CONSTANTS.keys():
            name = token.text
        else:
            raise NoShortcutError
        if self._take(":"):
            return name, self.alternative()
        return name, self._meaning.field(self._meaning.identity, name)
