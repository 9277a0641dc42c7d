"""One record of XML: an element, its attributes, and the elements in it."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, NamedTuple

from leadconnector_async.sources._mail_parts import named_for
from leadconnector_async.sources._mapped import Reader
from leadconnector_async.sources._values import Wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from leadconnector_async.sources._attachments import Attached, Attachments
    from leadconnector_async.sources._contacts import Contacts
    from leadconnector_async.sources._mapping import Definition, Files, Inner, Kind


class Element(NamedTuple):
    """An element, the line that it begins in, and the elements in it with their attributes."""

    name: str
    line: int
    attributes: dict[str, str]
    inner: list[tuple[str, dict[str, str]]]

    def __repr__(self) -> str:
        return f"Element({self.name!r}, line={self.line})"


class ElementReader:
    """Makes the values of elements by a mapping."""

    def __init__(self, definition: Definition, contacts: Contacts, files: Attachments) -> None:
        self._kinds: dict[str, Kind] = definition.elements
        self._readers = {
            name: Reader(kind, definition, contacts) for name, kind in definition.elements.items()
        }
        self._files = files
        self.names = list(definition.elements)

    def skipped(self, element: Element) -> str | None:
        """Say why an element is left out."""
        return self._readers[element.name].skipped(element.attributes)

    def values(self, element: Element) -> tuple[dict[str, object], list[str]]:
        """Name the values of an element, and what of it was passed over."""
        kind = self._kinds[element.name]
        joined = {name: _joined(inner, element) for name, inner in kind.inner.items()}
        values = self._readers[element.name].values(element.attributes | joined)
        passed: list[str] = []
        if kind.files is not None:
            files, broken = _within(kind.files, element, passed.append)
            kept = self._files.keep(files, values.get("type"), passed.append)
            if broken is not None:
                broken.given = kept.given if isinstance(kept, Wrong) else [*map(str, kept)]
            if broken is not None or kept:
                values["attachments"] = broken or kept
        return values, passed


def _within(
    files: Files, element: Element, warn: Callable[[str], None]
) -> tuple[list[Attached], Wrong | None]:
    """The files of an element, and what is wrong with one of them."""
    found: list[Attached] = []
    broken: Wrong | None = None
    for name, attributes in element.inner:
        data = attributes.get(files.attribute, "")
        if name != files.element or not data or data == "null":
            continue
        names = (attributes.get(key, "") for key in files.name)
        given = next((name for name in names if name not in ("", "null")), "attachment")
        try:
            content = base64.b64decode(data, validate=False)
        except (binascii.Error, ValueError):
            broken = Wrong("has a file that is no base64", "export it again")
            continue
        file = named_for(given, attributes.get(files.type or "", ""), content, warn)
        found += () if file is None else (file,)
    return found, broken


def _joined(inner: Inner, element: Element) -> str:
    found = [
        attributes.get(inner.attribute, "")
        for name, attributes in element.inner
        if name == inner.element
        and all(attributes.get(key) == value for key, value in inner.where.items())
    ]
    return "\n".join(text for text in found if text not in ("", "null"))
