"""Records of files that are no tables: rows of named texts, of which a mapping makes records.

In such files people often have no number, and the owner is one of them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from leadconnector_async.sources.base import Parsed
from leadconnector_async.sources.coerce import as_given
from leadconnector_async.sources.fields import listed
from leadconnector_async.sources.json_objects import never_missing
from leadconnector_async.sources.mapped import RowMapper
from leadconnector_async.sources.mapped_rules import resolved, with_columns
from leadconnector_async.sources.stream_source import StreamSource, source_format_of
from leadconnector_async.sources.values import WrongValueError, stripped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from leadconnector_async.sources.base import SourceOptions
    from leadconnector_async.sources.byte_stream import ByteStream
    from leadconnector_async.sources.contact_values import Contacts
    from leadconnector_async.sources.encoding import Utf8Text
    from leadconnector_async.sources.mapped import Values
    from leadconnector_async.sources.mapped_rules import Cell
    from leadconnector_async.sources.mapping import Definition, RecordKind

_TWO: Final = 2

_MAX_NAMED: Final = 5

_GROUP: Final = "give --leave-out groups: the API has no field for a group"


class ChatSides:
    """Tells the owner of a chat from whom it is with.

    ``own`` are words that stand for the owner in all files of a form, such as ``Me``.
    """

    def __init__(self, contacts: Contacts, own: Iterable[str] = ()) -> None:
        self._contacts = contacts
        contacts.own.update(map(contacts.same, own))
        self._others: list[str] = []
        self._is_owner_known = False

    def settle(self, people: Iterable[str], title: str = "") -> None:
        """Learn of everybody who writes, and of whom the file is named after.

        The other one of two is the owner, if the file is named after the first.
        """
        everybody = list(dict.fromkeys(filter(None, people)))
        self._others = self._contacts.others(everybody)
        self._is_owner_known = len(self._others) < len(everybody)
        if not self._others and title:
            self._others = [title]
        elif title in self._others and not self._is_owner_known and len(everybody) <= _TWO:
            self._contacts.own.update(self._contacts.same(one) for one in everybody if one != title)
            self._others, self._is_owner_known = [title], True

    def of(self, author: str) -> Values:
        """Name the direction of what somebody wrote, and whom it is with."""
        return {"direction": self._direction(author)} | self._person()

    def _direction(self, author: str) -> str | WrongValueError:
        if self._contacts.same(author) in self._contacts.own:
            return "outbound"
        if self._is_owner_known:
            return "inbound"
        names = listed(self._others, _MAX_NAMED)
        fix = f"give --mine with the name that is yours: the file has {names}"
        return WrongValueError("cannot be told", fix)

    def _person(self) -> Values:
        if len(self._others) == 1:
            return person(self._others[0])
        if not self._others:
            fix = "name the file as it was exported, after whom the chat is with"
            return {"contact.phone": WrongValueError("cannot be told: nobody else wrote", fix)}
        given = "; ".join(self._others)
        kind = "groups" if self._is_owner_known else None
        return {"contact.phone": WrongValueError("names several people", _GROUP, given, kind=kind)}


def person(text: str) -> Values:
    """Name somebody by a number or an address, if the text is one; else it is a name."""
    text = stripped(text)
    if "@" in text and " " not in text:
        return {"contact.email": text}
    is_name = any(char.isalpha() for char in text) or not any(char.isdigit() for char in text)
    return {"contact.name" if is_name else "contact.phone": text}


class RowSource(StreamSource):
    """A source of rows. Lists of what failed have the API's names, as JSON Lines."""

    def __init__(self, stream: ByteStream, text: Utf8Text, options: SourceOptions) -> None:
        super().__init__(stream, text, options)
        self.form = source_format_of(options, "jsonl", marked=False).encoded()

    def reader_of(self, kind: RecordKind, definition: Definition) -> RowMapper:
        """Make the reader of one kind of row. ``--map`` goes before the mapping."""
        kind = resolved(kind, str, never_missing)
        with_columns(kind, self._options.mapping)
        return RowMapper(kind, definition, self._coercer.contacts)

    def made(self, reader: RowMapper, line: int, row: Mapping[str, Cell], sides: Values) -> Parsed:
        """Make a record of a row. ``sides`` stand where the mapping says nothing."""
        values, reason, told = reader.read(row)
        values = sides | values
        raw = json.dumps(as_given(values), ensure_ascii=False).encode("utf-8", "replace")
        if reason is not None:
            return Parsed(line, raw, None, (), left_out=reason)
        return self._coercer.parsed(line, raw, values, told)
