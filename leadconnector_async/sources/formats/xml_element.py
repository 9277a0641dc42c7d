"""One record of XML: an element, its attributes, and the elements in it; and whom it is with."""

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from leadconnector_async.leave_out import LEAVE_OUT
from leadconnector_async.sources.base import Parsed, SourceOptions
from leadconnector_async.sources.fields import WrongValueError, notice, wrong_value
from leadconnector_async.sources.files.attachments import Attached, named_for
from leadconnector_async.sources.files.spool import safe_name
from leadconnector_async.sources.mappings.coerce import RowCoercer, in_api_names
from leadconnector_async.sources.mappings.mapped import PHONE, RowMapper
from leadconnector_async.sources.mappings.mapping import (
    Definition,
    Files,
    Inner,
    Members,
    RecordKind,
)
from leadconnector_async.sources.values.phone_numbers import is_one, people_in, withheld

_NOTHING: Final = frozenset({"", "null"})

EACH: Final = "messages sent to a group: one is made for each of its members"

FIRST: Final = "messages sent to a group, which go to the first of its members"


class Element(NamedTuple):
    """An element, the line that it begins in, and the elements in it with their attributes."""

    name: str
    line: int
    attributes: dict[str, str]
    inner: list[tuple[str, dict[str, str]]]

    def __repr__(self) -> str:
        return f"Element({self.name!r}, line={self.line})"


class With(NamedTuple):
    """The people whom a message is with: a record for each. ``members`` are all, of a group."""

    people: Sequence[str | WrongValueError]
    members: Sequence[str] = ()
    notice: str | None = None
    left_out: str | None = None


class ElementReader:
    """Makes records of elements by a mapping, and tells whom they are with.

    What it learns of the owner's numbers, contacts keep.
    """

    def __init__(self, definition: Definition, coercer: RowCoercer, options: SourceOptions) -> None:
        self.kinds: dict[str, RecordKind] = definition.elements
        self._coercer, self._contacts = coercer, coercer.contacts
        self._readers = {
            name: RowMapper(kind, definition, coercer.sides) for name, kind in self.kinds.items()
        }
        self._options = options

    def records(self, element: Element) -> Iterator[Parsed]:
        """Make the records of an element: one, or one for each member of a group."""
        kind, reader = self.kinds[element.name], self._readers[element.name]
        element, texts = _with_texts(kind, element)
        row = element.attributes | texts
        values, passed = self._values(kind, reader, row, element)
        left_out = reader.skipped(row)
        if left_out is None and kind.without_content and not _has_content(kind, element, values):
            left_out = reader.without_content(row)
        if left_out is None:
            left_out, told = reader.not_carried(row, values)
            passed += told
        found = self._with(kind, element, values) if left_out is None else None
        if found is None or found.left_out is not None:
            left_out = left_out if found is None else found.left_out
            yield self._coercer.parsed(element.line, in_api_names(values), values, passed, left_out)
            return
        passed += () if found.notice is None else (found.notice,)
        passed += (notice("replaced"),) if "\ufffd" in str(values.get("message", "")) else ()
        if found.members:
            values.pop("contact.name", None)  # it is all of their names
        members = {"members": found.members} if found.members else {}  # for whoever has to mend it
        for person in found.people:
            own = values | {PHONE: person}
            yield self._coercer.parsed(element.line, in_api_names(own | members), own, passed)

    def _with(self, kind: RecordKind, element: Element, values: dict[str, object]) -> With | None:
        if PHONE not in kind.fields:
            return None
        given = values.get(PHONE)
        if kind.members is None:
            return None if given is not None or "contact.email" in values else With([withheld()])
        given = values.pop("contact.email", None) if given is None else given
        address = given if isinstance(given, str) else ""
        return self._told(kind.members, address, element, values.get("direction"))

    def _values(
        self, kind: RecordKind, reader: RowMapper, row: dict[str, str], element: Element
    ) -> tuple[dict[str, object], list[str]]:
        values = reader.values(row)
        passed: list[str] = []
        if (rule := kind.files) is not None:
            without = [one for data, one in _parts(rule, element) if data in _NOTHING]
            types = {one.get(rule.type or "", "") for one in without}
            if rule.lost is not None and not types.issubset(rule.besides):
                passed.append(rule.lost)
            files, lost = _within(rule, element, passed.append)
            kept = self._coercer.files.keep(files, values.get("type"), passed.append)
            if lost:  # whose names keep the list from being imported without them
                there: Any = kept.given if isinstance(kept, WrongValueError) else kept
                given = [*map(str, there), *lost]
                kept = WrongValueError("has a file that is no base64", "export it again", given)
            if kept:
                values["attachments"] = kept
        return values, passed

    def _told(self, rule: Members, address: str, element: Element, direction: object) -> With:
        """Tell it from the addresses within a message, and from the one of the message itself."""
        own = self._contacts.own
        is_alone = bool(address) and not rule.element and is_one(address)
        if is_alone and self._contacts.same(address) not in own:
            return With((address,))
        inner = [attributes for name, attributes in element.inner if name == rule.element]
        told = [(one.get(rule.attribute, ""), one.get(rule.role, "")) for one in inner]
        roles = [(at, role) for at, role in told if at not in (*_NOTHING, *rule.own)]
        senders = [at for at, role in roles if role in rule.senders]
        listed = people_in(address) if address and address not in rule.own else []
        outbound = direction == "outbound"
        wrote = {*map(self._contacts.same, senders)}
        # Some programs write that everybody in it had sent it.
        if outbound and len(wrote) == 1 and wrote != {*map(self._contacts.same, listed)}:
            own |= wrote
        to = [at for at, role in roles if role in rule.recipients]
        named = listed if len(listed) > 1 or not to else []
        members = self._contacts.others([*senders, *to, *named])
        if outbound:
            return self._sent(self._contacts.others([*to, *named]), members)
        found = self._contacts.others([*senders, *(listed if len(listed) == 1 else ())])
        people = sorted(found, key=lambda address: "@" in address)[:1]  # numbers before other ids
        is_group = len(listed) > 1 or len(to) > 1
        if is_group and "groups" in self._options.leave_out:
            return With((), left_out=LEAVE_OUT["groups"])
        if not people and not is_group:
            people = self._contacts.others(to)[:1]
        unknown = wrong_value("unsigned", kind="groups") if is_group else withheld()
        return With(people or [unknown], members if is_group or not people else ())

    def _sent(self, people: list[str], members: list[str]) -> With:
        if len(people) < 2:  # noqa: PLR2004 - several are a group
            return With(people or [withheld()], () if people else members)
        if "groups" in self._options.leave_out:
            return With((), left_out=LEAVE_OUT["groups"])
        if self._options.groups == "first":
            return With(people[:1], members, FIRST)
        return With(people, members, EACH)


def _within(
    files: Files, element: Element, warn: Callable[[str], None]
) -> tuple[list[Attached], list[str]]:
    """The files of an element, and the names of those that are broken."""
    found: list[Attached] = []
    lost: list[str] = []
    for data, attributes in _parts(files, element):
        if data in _NOTHING:
            continue
        names = (attributes.get(key, "") for key in files.name)
        given = next((name for name in names if name not in _NOTHING), "attachment")
        try:
            coded = data.rpartition(",")[2]  # behind what a browser writes in front of it
            content = base64.b64decode("".join(coded.split()), validate=True)
        except (binascii.Error, ValueError):
            lost.append(safe_name(given))
            continue
        file = named_for(given, attributes.get(files.type or "", ""), content, warn)
        found += () if file is None else (file,)
    return found, lost


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
    return element._replace(inner=rest), {name: "\n".join(found) for name, found in texts.items()}


def _text(inner: Inner, tag: str, attributes: dict[str, str]) -> str | None:
    if tag != inner.element:
        return None
    for name, wanted in inner.where.items():
        found = attributes.get(name, "")
        if wanted not in (found, found.partition(";")[0].lower()):  # a type may name its charset
            return None
    text = attributes.get(inner.attribute, "")
    if text in _NOTHING and inner.base64 is not None:
        try:
            text = base64.b64decode(attributes.get(inner.base64, ""), validate=True).decode()
        except ValueError:  # no base64, or no UTF-8: a file
            return None
        return text or None
    return None if text in _NOTHING else text


def _has_content(kind: RecordKind, element: Element, values: dict[str, object]) -> bool:
    """Tell whether there is a text or a file, whatever becomes of it."""
    if any(values.get(name) for name in ("message", "html", "attachments")):
        return True
    files = () if kind.files is None else _parts(kind.files, element)
    return any(data not in _NOTHING for data, _ in files)


def _parts(files: Files, element: Element) -> Iterator[tuple[str, dict[str, str]]]:
    """What each of the files in an element holds, as its text, and its attributes."""
    parts = (attributes for tag, attributes in element.inner if tag == files.element)
    return ((attributes.get(files.attribute, ""), attributes) for attributes in parts)
