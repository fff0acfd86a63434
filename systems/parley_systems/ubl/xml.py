"""XML that somebody else wrote, as a tree of elements; everything that can attack a parser is refused.

expat reads the bytes. A document type declaration ends the reading at once: without one there are
no entities of the author's own, so no expansion, no external file, no network. Size, depth and the
number of elements are bounded. Comments and processing instructions are dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

from parley_systems.errors import DocumentTooLargeError, InvalidDocumentError, MalformedXmlError

MAX_BYTES: Final = 1_048_576
MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 100_000
MAX_ATTRIBUTES: Final = 32
_ENCODINGS: Final = frozenset({"utf-8", "utf-16", "iso-8859-1", "us-ascii"})
"""What expat decodes itself; for any other, Python would be asked for a codec of that name."""
_XML_SPACE: Final = " \t\r\n"
_RUNS_OF_SPACE: Final = re.compile(r"[ \t\r\n]+")


@dataclass(slots=True)
class Element:
    """One element: its children in document order, and the text directly in it."""

    namespace: str
    name: str
    line: int
    """1-based line of the start tag."""
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text with runs of white space made one space, and none at the ends."""
        return _RUNS_OF_SPACE.sub(" ", "".join(self.pieces)).strip(_XML_SPACE)

    def all(self, namespace: str, name: str) -> list[Element]:
        """Return the children of that name, in document order."""
        return [each for each in self.children if each.name == name and each.namespace == namespace]

    def one(self, namespace: str, name: str) -> Element | None:
        """Return the only child of that name, or None.

        Raises:
            InvalidDocumentError: If there are two: two readers could pick different ones.
        """
        found = self.all(namespace, name)
        if len(found) > 1:
            raise InvalidDocumentError(
                f"{name} appears twice in {self.name}, in lines {found[0].line} and"
                f" {found[1].line}; only one is allowed",
                line=found[1].line,
                element=name,
            )
        return found[0] if found else None


def read(raw: bytes | str) -> Element:
    """Return the root element.

    Args:
        raw: Bytes are decoded as the XML declaration says (UTF-8, UTF-16, ISO-8859-1, US-ASCII);
            in a str the declared encoding means nothing any more.

    Raises:
        DocumentTooLargeError: If there are more than 1 MiB or 100,000 elements.
        MalformedXmlError: If it is not well-formed, has a document type declaration, nests deeper
            than 32, uses another encoding, or an element has more than 32 attributes.
    """
    try:
        data = raw.encode("utf-8") if isinstance(raw, str) else raw
    except UnicodeEncodeError as exc:
        raise MalformedXmlError(f"the text holds a lone surrogate at {exc.start}") from exc
    if len(data) > MAX_BYTES:
        raise DocumentTooLargeError(
            f"the document has {len(data)} bytes, {MAX_BYTES} are allowed", limit=MAX_BYTES
        )
    return _Reader("utf-8" if isinstance(raw, str) else None).read(data)


class _Reader:
    """One pass of expat over one document."""

    def __init__(self, encoding: str | None) -> None:
        self._parser = parser = expat.ParserCreate(encoding, namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        # None of these can come without a DOCTYPE; they stay so that no change of expat opens a way.
        parser.EntityDeclHandler = self._entity
        parser.UnparsedEntityDeclHandler = self._entity
        parser.ExternalEntityRefHandler = self._external
        self._forced = encoding is not None
        self._root: Element | None = None
        self._open: list[Element] = []
        self._count = 0

    def read(self, data: bytes) -> Element:
        try:
            self._parser.Parse(data, True)  # noqa: FBT003 - expat takes it by position
        except expat.ExpatError as exc:
            raise MalformedXmlError(
                f"not well-formed XML at line {exc.lineno} column {exc.offset}:"
                f" {expat.ErrorString(exc.code)}",
                line=exc.lineno,
            ) from exc
        except (ValueError, LookupError) as exc:  # from the codecs behind an encoding name
            raise MalformedXmlError("the XML declaration names an unusable encoding") from exc
        if self._root is None:  # pragma: no cover - expat refuses a document without an element
            raise MalformedXmlError("the document is empty")
        return self._root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise DocumentTooLargeError(
                f"the document has more than {MAX_ELEMENTS} elements", limit=MAX_ELEMENTS
            )
        if len(self._open) >= MAX_DEPTH:
            self._refuse(f"nested deeper than {MAX_DEPTH} elements")
        if len(attributes) > MAX_ATTRIBUTES:
            self._refuse(f"an element has more than {MAX_ATTRIBUTES} attributes")
        namespace, _, local = name.rpartition("}")
        element = Element(namespace, local, self._parser.CurrentLineNumber, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _data(self, text: str) -> None:
        self._open[-1].pieces.append(text)

    def _declaration(self, _: str, encoding: str | None, __: int) -> None:
        if encoding is not None and not self._forced and encoding.lower() not in _ENCODINGS:
            self._refuse(f"the encoding {encoding[:40]!r} is not read; use UTF-8")

    def _doctype(self, *_: object) -> None:
        self._refuse("a document type declaration (DOCTYPE) is not allowed")

    def _entity(self, *_: object) -> None:
        self._refuse("an entity declaration is not allowed")

    def _external(self, *_: object) -> int:
        self._refuse("a reference to something outside the document is not allowed")

    def _refuse(self, problem: str) -> NoReturn:
        line = self._parser.CurrentLineNumber
        raise MalformedXmlError(f"line {line}: {problem}", line=line)
