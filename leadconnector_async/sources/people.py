"""Files of people: whose name has which numbers and addresses, and which of them are one person's.

vCards are taken apart by vobject, which knows all versions, the encodings of 2.1 and the groups
of Apple's. Tables are Google's, HighLevel's, or any with a name and numbers or addresses.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Final, NamedTuple

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Contact, Problem
from leadconnector_async.sources import fields
from leadconnector_async.sources.base import SettledContact, SourceOptions, needs
from leadconnector_async.sources.files.byte_stream import LineSplitter, SourceFile
from leadconnector_async.sources.files.encoding import Utf8Text
from leadconnector_async.sources.formats.csv import CsvRecords
from leadconnector_async.sources.values.contact_values import Contacts

_DEFAULTS: Final = SourceOptions()

_HANDLE: Final = re.compile(r"phone|mobile|cell|whatsapp|^(?:tel|number|to|address)$|mail")

_OTHER: Final = re.compile(r"type|label|mailing|status|dnd|opt|count|date|valid|verif")
"""What columns tell of a number or an address that do not hold it."""

_BETWEEN: Final = re.compile(r":::|[;,|\n]|(?<=\d)\s*[/&]\s*(?=[+(\d][\d ().-]{6})|\s(?:and|or)\s")

_NUMBER: Final = re.compile(r"\D*(?:\d\D*){7,}|[^@\s]+@[^@\s]+")

_MAX_LISTED: Final = 20


class Person(NamedTuple):
    """Somebody, by the lines of the file that say so. Numbers and addresses in their order."""

    name: str
    places: tuple[str, ...]
    phones: tuple[str, ...]
    emails: tuple[str, ...]

    @property
    def handles(self) -> tuple[str, ...]:
        """Numbers and addresses."""
        return self.phones + self.emails


class People:
    """Finds people by name, by number and by address.

    ``warnings`` tell what of the files could not be read.
    """

    def __init__(
        self, everybody: Iterable[Person], paths: Sequence[str] = (), warnings: Sequence[str] = ()
    ) -> None:
        self.paths: tuple[str, ...] = tuple(paths)
        self.everybody: list[Person] = list(everybody)
        self.warnings: list[str] = list(warnings)
        self.by_name: dict[str, list[Person]] = {}
        self.by_handle: dict[str, list[Person]] = {}
        for person in self.everybody:
            self.by_name.setdefault(_key(person.name), []).append(person)
            for handle in person.handles:
                self.by_handle.setdefault(handle, []).append(person)

    def settle(self, contact: Contact) -> Contact | Problem:
        """Give what is known of whom a record names, or say why it is not.

        One of several numbers of a person becomes the first, so that all are one contact. Where a
        number or a name is that of several people, nobody can tell which.
        """
        name = contact.name or ""
        found = self.by_handle.get(contact.key, []) if contact.key else self.by_name.get(_key(name))
        if found and len(found) == 1:
            person = found[0]
            return SettledContact(
                phone=person.phones[0] if person.phones else contact.phone,
                email=contact.email or next(iter(person.emails), None),
                name=contact.name or person.name,
                said=contact.key or _key(name),
            )
        if contact.key:
            return contact
        wrong, fix = "is not there", "add it with a number or an address"
        if found:
            wrong, fix = "names several people", "give each of them a name of its own there"
        return Problem("contact.name", f"{fields.shown(name)} {wrong} in --people", fix)


def read_people(paths: Iterable[str], options: SourceOptions = _DEFAULTS) -> People:
    """Read files of people, whose numbers are taken as the options say.

    Raises:
        SourceError: one cannot be read, or is of another kind.

    Example:
        >>> people = read_people(["people.csv"])
    """
    contacts = Contacts(options.region, possible=options.numbers == "possible")
    found: list[Person] = []
    warnings: list[str] = []
    paths = tuple(paths)
    for path in paths:
        file = _PeopleFile(path, contacts)
        found += file.people()
        warnings += file.warnings()
    return People(_merged(found), paths, warnings)


class _Entry(NamedTuple):
    """What a line, or a card, says of somebody."""

    line: int
    name: str
    handles: list[str]


class _PeopleFile:
    """Reads one file, and keeps the lines of what it cannot read."""

    def __init__(self, path: str, contacts: Contacts) -> None:
        self._path = path
        self._contacts = contacts
        self._unread: defaultdict[str, list[int]] = defaultdict(list)

    def people(self) -> list[Person]:
        """Give everybody whom a name and a number or an address tell."""
        with closing(SourceFile.at(self._path).stream()) as stream:
            text = Utf8Text(stream, None)
            lines = LineSplitter(text.chunks(), stream)
            is_cards = text.head.lstrip()[:11].upper() == b"BEGIN:VCARD"
            entries = self._cards(lines) if is_cards else self._rows(lines, text)
            people = [person for entry in entries if (person := self._person(entry))]
        if stream.damage is not None:
            raise SourceError(f"{self._path}: {stream.damage}")
        return people

    def warnings(self) -> list[str]:
        """Tell what is not read."""
        return [
            f"{self._path}: {len(lines):,} {what}: not read: {_listed(lines)}"
            for what, lines in self._unread.items()
        ]

    def _person(self, entry: _Entry) -> Person | None:
        phones: dict[str, None] = {}
        emails: dict[str, None] = {}
        for handle in entry.handles:
            try:
                if "@" in handle:
                    emails[self._contacts.email(handle)] = None
                else:
                    phones[self._contacts.phone(handle)] = None
            except fields.WrongValueError:
                self._unread["numbers or addresses that are none"].append(entry.line)
        if not entry.name or not (phones or emails):
            lacking = "entries without a name, or without a number and an address"
            self._unread[lacking].append(entry.line)
            return None
        return Person(entry.name, (f"{self._path}:{entry.line}",), (*phones,), (*emails,))

    def _cards(self, lines: Iterable[bytes]) -> Iterator[_Entry]:
        with needs(self._path, "vobject", "people"):
            import vobject  # noqa: PLC0415 - an extra
        for start, text in _split_cards(lines):
            try:
                card = vobject.readOne(text, allowQP=True).contents
            except Exception:  # noqa: BLE001 - it raises what its parsing comes upon
                self._unread["cards that are damaged"].append(start)
                continue
            of_card = ("fn", "n", "org", "tel", "email")
            texts = {name: [str(one.value) for one in card.get(name, [])] for name in of_card}
            names = (" ".join(text.split()) for text in (*texts["fn"], *texts["n"], *texts["org"]))
            yield _Entry(start, next(filter(None, names), ""), [*texts["tel"], *texts["email"]])

    def _rows(self, lines: Iterable[bytes], text: Utf8Text) -> Iterator[_Entry]:
        first = text.head.split(b"\n", 1)[0].decode(errors="replace")
        records = CsvRecords(lines, max(",;\t|", key=first.count), text)
        columns: _TableColumns | None = None
        told: dict[str, _Entry] = {}
        for cells in records:
            if columns is None:
                columns = _TableColumns(self._path, cells)
                if columns.is_headed:
                    continue
            if records.problem is not None or len(cells) != columns.width:
                self._unread["lines that are damaged"].append(records.line)
            elif columns.are_two:  # where several lines are the only way to several numbers
                entry = columns.entry(records.line, cells)
                known = told.setdefault(_key(entry.name), entry._replace(handles=[]))
                known.handles.extend(entry.handles)
            elif any(cells):
                yield columns.entry(records.line, cells)
        yield from told.values()


def _split_cards(lines: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    start, card = 0, bytearray()
    for number, line in enumerate(lines, 1):
        word = line.strip().upper()
        if word == b"BEGIN:VCARD":
            start, card = number, bytearray()
        card += line + b"\n"
        if word == b"END:VCARD":
            yield start, card.decode(errors="replace")


class _TableColumns:
    """Which columns hold names, numbers and addresses."""

    def __init__(self, path: str, header: Sequence[str]) -> None:
        names = [fields.folded(name) for name in header]
        self.width = len(names)
        known = fields.table_of("names")["people"]
        self._names = [n for n, name in enumerate(names) if name in known["whole"]]
        self._parts = [n for part in known["parts"] for n, name in enumerate(names) if name in part]
        self._others = [n for n, name in enumerate(names) if name in known["company"]]
        self._handles = [
            n for n, name in enumerate(names) if _HANDLE.search(name) and not _OTHER.search(name)
        ]
        self.are_two = self.width == 2  # noqa: PLR2004 - a name, and a number or an address
        self.is_headed = not self.are_two or not any(map(_is_handle, header))
        self._are_unnamed = self.are_two and not (self.is_headed and self._names and self._handles)
        if self._are_unnamed:
            self._names, self._handles = [0], [1]
        if not self._handles or not (self._names or self._parts or self._others):
            raise SourceError(f"{path}: {fields.notice('no_people')}")

    def entry(self, line: int, cells: Sequence[str]) -> _Entry:
        """Read a row. Of two columns without names either may be the name."""
        if self._are_unnamed and _is_handle(cells[0]):
            cells = cells[::-1]
        whole = [cells[n] for n in self._names]
        parts = " ".join(cells[n] for n in self._parts)
        names = (
            " ".join(fields.stripped(n).split())
            for n in (*whole, parts, *map(cells.__getitem__, self._others))
        )
        handles = (part for n in self._handles for part in _BETWEEN.split(cells[n]))
        found = [handle for one in handles if (handle := fields.stripped(one))]
        return _Entry(line, next(filter(None, names), ""), found)


def _is_handle(cell: str) -> bool:
    return _NUMBER.fullmatch(cell.strip()) is not None


def _merged(people: Iterable[Person]) -> Iterator[Person]:
    """Make one of those who have the same name and a number or an address in common."""
    groups: dict[str, list[Person]] = {}
    for person in people:
        same = groups.setdefault(_key(person.name), [])
        kin = [one for one in same if not set(one.handles).isdisjoint(person.handles)]
        for one in kin:
            same.remove(one)
        joined = [*kin, person]
        same.append(
            Person(
                joined[0].name,
                tuple(place for one in joined for place in one.places),
                tuple(dict.fromkeys(phone for one in joined for phone in one.phones)),
                tuple(dict.fromkeys(email for one in joined for email in one.emails)),
            )
        )
    return (person for same in groups.values() for person in same)


def _key(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", fields.stripped(name)).casefold().split())


def _listed(lines: Sequence[int]) -> str:
    more = f" and {len(lines) - _MAX_LISTED:,} more" if len(lines) > _MAX_LISTED else ""
    return f"line {', '.join(map(str, lines[:_MAX_LISTED]))}{more}"
