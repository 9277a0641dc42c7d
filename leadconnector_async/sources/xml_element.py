"""One record of XML: an element, its attributes, and the elements in it."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final, NamedTuple

from leadconnector_async.sources.attachments import named_for
from leadconnector_async.sources.group_members import Groups, With
from leadconnector_async.sources.mapped import RowMapper
from leadconnector_async.sources.phone_numbers import withheld
from leadconnector_async.sources.values import WrongValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from leadconnector_async.sources.attachments import Attached, Attachments
    from leadconnector_async.sources.base import SourceOptions
    from leadconnector_async.sources.contact_values import Contacts
    from leadconnector_async.sources.mapping import Definition, Files, Inner, RecordKind

PHONE: Final = "contact.phone"

EMAIL: Final = "contact.email"

NAME: Final = "contact.name"

_NOTHING: Final = frozenset({"", "null"})


class Element(NamedTuple):
    """An element, the line that it begins in, and the elements in it with their attributes."""

    name: str
    line: int
    attributes: dict[str, str]
    inner: list[tuple[str, dict[str, str]]]

    def __repr__(self) -> str:
        return f"Element({self.name!r}, line={self.line})"


class ElementValues(NamedTuple):
    """What an element comes to: named values, or why it is left out.

    ``members`` are all whom a message of a group was with, for whoever has to mend it.
    """

    values: dict[str, object]
    notices: list[str]
    left_out: str | None = None
    members: Sequence[str] = ()

    def __repr__(self) -> str:
        return f"Made(left_out={self.left_out!r})"


class ElementReader:
    """Makes the values of elements by a mapping."""

    def __init__(
        self,
        definition: Definition,
        contacts: Contacts,
        files: Attachments,
        options: SourceOptions,
    ) -> None:
        self._kinds: dict[str, RecordKind] = definition.elements
        self._readers = {
            name: RowMapper(kind, definition, contacts)
            for name, kind in definition.elements.items()
        }
        self._groups = Groups(contacts, options)
        self._files = files
        self.names: list[str] = list(definition.elements)

    def records(self, element: Element) -> Iterator[ElementValues]:
        """Make the records of an element: one, or one for each member of a group."""
        kind, reader = self._kinds[element.name], self._readers[element.name]
        element, texts = _with_texts(kind, element)
        row = element.attributes | texts
        values, passed = self._values(kind, reader, row, element)
        left_out = reader.skipped(row)
        if left_out is None and kind.without_content and not _has_content(kind, element, values):
            left_out = reader.without_content(row)
        if left_out is not None:
            yield ElementValues(values, [], left_out)
            return
        left_out, told = reader.not_carried(row, values)
        passed += told
        if left_out is not None:
            yield ElementValues(values, [], left_out)
            return
        found = self._with(kind, element, values)
        if found is None:
            yield ElementValues(values, passed)
        elif found.left_out is not None:
            yield ElementValues(values, [], found.left_out)
        else:
            passed += () if found.notice is None else (found.notice,)
            if found.members:
                values.pop(NAME, None)  # it is all of their names
            for person in found.people:
                yield ElementValues(values | {PHONE: person}, passed, None, found.members)

    def _with(self, kind: RecordKind, element: Element, values: dict[str, object]) -> With | None:
        if PHONE not in kind.fields:
            return None
        given = values.get(PHONE)
        if given is None and kind.members is not None:
            given = values.pop(EMAIL, None)
        address = given if isinstance(given, str) else None
        if kind.members is not None:
            direction = values.get("direction")
            return self._groups.tell(kind.members, address, element.inner, direction)
        known = given is not None or EMAIL in values
        return None if known else With([withheld()])

    def _values(
        self, kind: RecordKind, reader: RowMapper, row: dict[str, str], element: Element
    ) -> tuple[dict[str, object], list[str]]:
        values = reader.values(row)
        passed: list[str] = []
        if kind.files is not None:
            if kind.files.lost is not None and _lost(kind.files, element):
                passed.append(kind.files.lost)
            files, broken = _within(kind.files, element, passed.append)
            kept = self._files.keep(files, values.get("type"), passed.append)
            if broken is not None:
                broken.given = (
                    kept.given if isinstance(kept, WrongValueError) else [*map(str, kept)]
                )
            if broken is not None or kept:
                values["attachments"] = broken or kept
        return values, passed


def _within(
    files: Files, element: Element, warn: Callable[[str], None]
) -> tuple[list[Attached], WrongValueError | None]:
    """The files of an element, and what is wrong with one of them."""
    found: list[Attached] = []
    broken: WrongValueError | None = None
    for name, attributes in element.inner:
        data = attributes.get(files.attribute, "")
        if name != files.element or data in _NOTHING:
            continue
        names = (attributes.get(key, "") for key in files.name)
        given = next((name for name in names if name not in _NOTHING), "attachment")
        try:
            content = base64.b64decode(data, validate=False)
        except (binascii.Error, ValueError):
            broken = WrongValueError("has a file that is no base64", "export it again")
            continue
        file = named_for(given, attributes.get(files.type or "", ""), content, warn)
        found += () if file is None else (file,)
    return found, broken


def _with_texts(kind: RecordKind, element: Element) -> tuple[Element, dict[str, str]]:
    """Take the texts out of an element, so that none is taken for a file too."""
    if not kind.inner:
        return element, {}
    texts: dict[str, list[str]] = {name: [] for name in kind.inner}
    rest: list[tuple[str, dict[str, str]]] = []
    for tag, attributes in element.inner:
        for name, inner in kind.inner.items():
            text = _text(inner, tag, attributes)
            if text is not None:
                texts[name].append(text)
                break
        else:
            rest.append((tag, attributes))
    joined = {name: "\n".join(found) for name, found in texts.items()}
    return element._replace(inner=rest), joined


def _text(inner: Inner, tag: str, attributes: dict[str, str]) -> str | None:
    if tag != inner.element:
        return None
    if any(attributes.get(key) != value for key, value in inner.where.items()):
        return None
    text = attributes.get(inner.attribute, "")
    if text in _NOTHING and inner.base64 is not None:
        try:
            return (
                base64.b64decode(attributes.get(inner.base64, ""), validate=True).decode() or None
            )
        except ValueError:  # no base64, or no UTF-8: a file
            return None
    return None if text in _NOTHING else text


def _has_content(kind: RecordKind, element: Element, values: dict[str, object]) -> bool:
    """Tell whether there is a text or a file, whatever becomes of it."""
    if any(values.get(name) for name in ("message", "html", "attachments")):
        return True
    files = kind.files
    return files is not None and any(
        tag == files.element and attributes.get(files.attribute, "") not in _NOTHING
        for tag, attributes in element.inner
    )


def _lost(files: Files, element: Element) -> bool:
    return any(
        tag == files.element
        and attributes.get(files.attribute, "") in _NOTHING
        and attributes.get(files.type or "", "") not in files.besides
        for tag, attributes in element.inner
    )
