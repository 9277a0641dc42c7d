"""One record of XML: an element, its attributes, and the elements in it."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, NamedTuple

from leadconnector_async.sources._files import LARGEST
from leadconnector_async.sources._mail_parts import named_for
from leadconnector_async.sources._mapped import Reader
from leadconnector_async.sources._values import Wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sources._contacts import Contacts
    from leadconnector_async.sources._mapping import Definition, Files, Inner, Kind
    from leadconnector_async.sources._spool import Spool


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

    def __init__(self, definition: Definition, contacts: Contacts, spool: Spool | None) -> None:
        self._kinds: dict[str, Kind] = definition.elements
        self._readers = {
            name: Reader(kind, definition, contacts) for name, kind in definition.elements.items()
        }
        self._spool = spool
        self.names = list(definition.elements)

    def skipped(self, element: Element) -> str | None:
        """Say why an element is left out."""
        return self._readers[element.name].skipped(element.attributes)

    def values(self, element: Element) -> tuple[dict[str, object], list[str]]:
        """Name the values of an element, and what of it was passed over."""
        kind = self._kinds[element.name]
        joined = {name: _joined(inner, element) for name, inner in kind.inner.items()}
        reader, row = self._readers[element.name], element.attributes | joined
        values = reader.values(row)
        _, passed = reader.not_carried(row, values)
        if kind.files is not None:
            try:
                urls = list(self._kept(kind.files, element, passed))
            except Wrong as error:
                values["attachments"] = error
            else:
                if urls:
                    values["attachments"] = list(dict.fromkeys(urls))
        return values, passed

    def _kept(self, files: Files, element: Element, passed: list[str]) -> Iterator[str]:
        for name, attributes in element.inner:
            data = attributes.get(files.attribute, "")
            if name != files.element or not data or data == "null":
                continue
            if self._spool is None:
                passed.append("attachments, which are not taken out of backups here")
                continue
            names = (attributes.get(key, "") for key in files.name)
            given = next((name for name in names if name not in ("", "null")), "attachment")
            content = _decoded(data)
            file = named_for(given, attributes.get(files.type or "", ""), content, passed.append)
            if file is not None:
                yield self._spool.keep(file.name, file.content)


def _joined(inner: Inner, element: Element) -> str:
    found = [
        attributes.get(inner.attribute, "")
        for name, attributes in element.inner
        if name == inner.element
        and all(attributes.get(key) == value for key, value in inner.where.items())
    ]
    return "\n".join(text for text in found if text not in ("", "null"))


def _decoded(data: str) -> bytes:
    if len(data) > LARGEST * 4 // 3 + 4:
        wrong = f"has a file over the {LARGEST >> 20} MB that the API takes"
        raise Wrong(wrong, "take it out of the backup")
    try:
        return base64.b64decode(data, validate=False)
    except (binascii.Error, ValueError):
        raise Wrong("has a file that is no base64", "export it again") from None
