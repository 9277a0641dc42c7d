"""Who of a chat is its owner, and whom the chat is with; who an id is, by a list beside it.

In chats people often have no number, and the owner is one of them. Which side wrote, and whom it
wrote to, all rows of a chat tell together: so the file is read once more, before, for its people.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import PurePath
from typing import Final

from leadconnector_async.sources import fields
from leadconnector_async.sources.fields import WrongValueError, scalar_text, stripped
from leadconnector_async.sources.files.byte_stream import ByteStream, SourceFile
from leadconnector_async.sources.files.encoding import Utf8Text
from leadconnector_async.sources.files.json_values import JsonValues, loaded_value, opening_value
from leadconnector_async.sources.mappings.mapping import ChatForm
from leadconnector_async.sources.mappings.rules import Cell, Row
from leadconnector_async.sources.values.contact_values import Contacts

Values = dict[str, object]
People = dict[str, dict[str, str]]
"""Of each chat, by its session: what names everybody, with the number or address of each."""

_MAX_KEPT: Final = 500_000
"""People of all chats of a file, and objects of all lists: memory has to stay bounded. Who comes
later is not known."""

_TWO: Final = 2

_JOINT: Final = re.compile(r"\s*[,&]\s*")
"""What joins the members of a group in its title, whoever of them wrote."""

_MAX_NAMED: Final = 5

_OTHERS: Final = "others"
"""Stands for all of a group who did not write."""


class _Chat:
    """The sides of one chat. ``others`` are all but the owner, with the number of each, or a name.

    The other one of two is the owner, if the chat is named after the first.
    """

    def __init__(
        self, people: Mapping[str, str], title: str, contacts: Contacts, *, signed: bool
    ) -> None:
        self.key = [title] if title else [*people][:_MAX_NAMED]
        others = [one for one in contacts.others(people) if not contacts.is_own(people[one])]
        self.is_owner_known = signed or len(others) < len(people)
        named = {contacts.same(one) for one in _JOINT.split(title)}
        if len(named) > 1 and [one for one in others if contacts.same(one) in named] == others[:1]:
            others = contacts.others(_JOINT.split(title))
        if not others and title:
            others = [title]
        elif title in others and not self.is_owner_known and len(others) <= _TWO:
            contacts.own.update(contacts.same(one) for one in others if one != title)
            others, self.is_owner_known = [title], True
        self.others = {name: people.get(name) or name for name in others}
        self.unlisted = ""
        """Who wrote, though the file does not list him among those who are in it."""

    def person(self, *, is_owner_known: bool, by_file: bool) -> Values:
        """Name whom it is with. The name of its file may say that."""
        if len(self.others) == 1:
            ((name, handle),) = self.others.items()
            is_name = name != handle and _is_name(name)
            return ({"contact.name": name} if is_name else {}) | _named(handle)
        if not self.others:
            if by_file:
                return {"contact.phone": fields.wrong_value("chat_of_one")}
            return {"contact.phone": fields.wrong_value("rows_of_one")}
        # Whatever they are, this is read as several again: "Ann; +1303…" names a number's owner.
        kind, given = "groups" if is_owner_known else None, " ~ ".join(self.others)
        fix = "give --leave-out groups: the API has no field for a group"
        if self.unlisted:
            who = fields.listed([self.unlisted])
            fix = f"if the name {who} is yours too, give it as --mine; else {fix}"
        return {"contact.phone": WrongValueError("names several people", fix, given, kind=kind)}


class ChatSides:
    """Tells the sides of the chats of a source, which has a name.

    ``again`` reads the source once more, and notes everybody in it.
    """

    def __init__(self, contacts: Contacts) -> None:
        self.contacts = contacts
        self.name = ""
        self.chat: list[str] = []
        """What tells the chat of the row at hand from others, where its owner wrote the same."""
        self.again: Callable[[People], None] | None = None
        self._noted: People | None = None
        self._found: People | None = None
        self._chats: dict[str, _Chat] = {}
        self._count = 0

    def note_in(self, people: People) -> None:
        """Let everybody be noted there, and nothing be told."""
        self._noted = people

    def noted(self, form: ChatForm, row: Row, direction: object) -> bool:
        """Note who wrote a row, if that is what the file is read for; not of its owner's."""
        if self._noted is None or direction == "outbound":
            return self._noted is not None
        author = _author(form, row)
        name = _first(form.name, row) or author
        people = self._noted.setdefault(_first(form.session, row), {})
        if author and name not in people and self._count < _MAX_KEPT:
            people[name] = author
            self._count += 1
        return True

    def note_group(self, form: ChatForm | None, row: Row) -> None:
        """Note, of a row that is no message, that its chat is a group's: others are in it too."""
        text = _first(["text"], row)
        if form and self._noted is not None and any(re.search(one, text) for one in form.groups):
            people = self._noted.setdefault(_first(form.session, row), {})
            people |= dict.fromkeys([text, _OTHERS], _OTHERS)

    def of(self, form: ChatForm, row: Row, values: Collection[str]) -> Values:
        """Name the direction of a row, and whom it is with, where its values do not."""
        self.contacts.own.update(map(self.contacts.same, form.own))
        author = _author(form, row)
        told: Values = {}
        other = _first(form.other, row)
        chat = None if other else self._chat(form, row)
        self.chat = [] if chat is None else chat.key
        if "direction" not in values:
            is_own = self.contacts.is_own(author) or self.contacts.is_own(_first(form.name, row))
            is_sent = is_own and not other
            told["direction"] = "outbound" if is_sent else self._direction(author, other, chat)
        if chat is None:
            title = _first(form.title, row)
            return told | _named(title) if title else told
        # Which of two is the owner is one question, and whom the chat is with the same.
        if isinstance(told.get("direction"), WrongValueError) and len(chat.others) == _TWO:
            typed = [values for one in chat.others.values() if (values := _typed(form.types, one))]
            return told | ({"type": typed[0]["type"]} if typed else {})
        session = _first(form.session, row)
        is_id = fields.expression("chat_id").search(session)  # of one, or of a group
        if fields.FINDERS.isdisjoint(values) and is_id:
            told["contact.phone"] = session
        elif fields.FINDERS.isdisjoint(values):
            is_known = not author or chat.is_owner_known
            told |= chat.person(is_owner_known=is_known, by_file=bool(form.titles))
            name = _first(form.name, row)
            if told.get("direction") == "inbound" and len(chat.others) == 1 and _is_name(name):
                told.setdefault("contact.name", name)
            told |= _typed(form.types, told.get("contact.phone"))
        return told

    def _chat(self, form: ChatForm, row: Row) -> _Chat:
        named = [name for column in form.people for name in _texts(row.get(column, ""))]
        signed = bool(form.own)
        if named:  # but who has left a group is on its list no more
            author, same = _author(form, row), self.contacts.same
            is_own = self.contacts.is_own(_first(form.name, row))
            is_listed = not author or is_own or same(author) in map(same, named)
            people = dict.fromkeys(named if is_listed else [*named, author], "")
            chat = _Chat(people, "", self.contacts, signed=signed)
            chat.key, chat.unlisted = named[:_MAX_NAMED], "" if is_listed else author
            return chat
        if self._found is None:
            self._found = {}
            if self.again is not None:
                self.again(self._found)
        session = _first(form.session, row)
        if session not in self._chats:
            title = _first(form.title, row) or self._file_title(form.titles)
            found = self._found.get(session, {})
            self._chats[session] = _Chat(found, title, self.contacts, signed=signed)
        return self._chats[session]

    def _direction(self, author: str, other: str, chat: _Chat | None) -> str | WrongValueError:
        same = self.contacts.same
        if chat is None:
            return "inbound" if same(author) == same(other) else "outbound"
        if chat.is_owner_known:
            return "inbound"
        wrote = [name for name, handle in chat.others.items() if handle != _OTHERS]
        names = fields.listed(wrote, _MAX_NAMED)
        fix = "give --mine with the name that is yours" + f": the file has {names}" * bool(names)
        return WrongValueError("cannot be told", fix)

    def _file_title(self, titles: Iterable[str]) -> str:
        """Find whom the file, or its folder, is named after."""
        path = PurePath(self.name)
        names = path.name, path.parent.name
        found = (re.fullmatch(one, name) for one in titles for name in names)
        return next((stripped(match["other"]) for match in found if match), "")


def _author(form: ChatForm, row: Row) -> str:
    author = _first(form.author, row)
    for prefix in form.strip:
        author = author.removeprefix(prefix)
    return author


def _first(columns: Iterable[str], row: Row) -> str:
    return next((text for column in columns for text in _texts(row.get(column, ""))), "")


def _texts(cell: Cell) -> list[str]:
    texts = [cell] if isinstance(cell, str) else [one for one in cell if isinstance(one, str)]
    return [text for one in texts if (text := stripped(one))]


def _typed(types: Mapping[str, str], phone: object) -> Values:
    """Tell the type of message by what stands before a number, and take that away."""
    prefix = next((one for one in types if isinstance(phone, str) and phone.startswith(one)), None)
    if prefix is None:
        return {}
    return {"type": types[prefix], "contact.phone": str(phone).removeprefix(prefix)}


def _named(text: str) -> Values:
    """Name somebody by a number or an address, if the text is one; else it is a name."""
    if "@" in text and " " not in text:
        is_id = fields.expression("messenger_id").search(text)
        return {"contact.phone" if is_id else "contact.email": text}
    number = text.partition(":")[2] or text  # whatsapp:+1…
    is_name = _is_name(number) or not any(char.isdigit() for char in number)
    return {"contact.name" if is_name else "contact.phone": text}


def _is_name(text: str) -> bool:
    return any(char.isalpha() for char in text)


class LookUps:
    """Gives what the objects hold that records name: ``users[*]``, or a file ``users.json``.

    ``rules`` are, by the keys with the ids, their own spelling and the lists; ``used`` the paths
    that are read. What is read of an object stands below its id's key: ``author_id.email``.
    """

    def __init__(
        self, rules: Mapping[str, tuple[str, str]], used: Collection[str], stream: ByteStream | None
    ) -> None:
        self._rules = rules
        self._used = {
            name.removeprefix(f"{key}.") for key in rules for name in used if name.startswith(key)
        }
        self._stream = stream
        self._lists: dict[str, dict[str, dict[str, str]]] = {}
        self._missed: Counter[str] = Counter()

    def __contains__(self, key: str) -> bool:
        return key in self._rules

    def cells(self, key: str, id_: str) -> dict[str, str]:
        """Give what the object of an id holds, by paths."""
        _, path = self._rules[key]
        if path not in self._lists:
            self._lists[path] = dict(self._read(path))
        found = self._lists[path].get(id_)
        self._missed[key] += found is None
        return {f"{key}.{name}": cell for name, cell in (found or {}).items()}

    @property
    def warnings(self) -> list[str]:
        """Tell of ids that no object has."""
        return [
            f"{name} has ids that {path} does not hold ({count:,} times): put {_stem(path)}.json "
            "beside the file, or export it with them"
            for key, (name, path) in self._rules.items()
            if (count := self._missed[key])
        ]

    def _read(self, path: str) -> Iterator[tuple[str, dict[str, str]]]:
        kept = 0
        for stream, is_own in self._streams(_stem(path)):
            with closing(stream):
                text = Utf8Text(stream, None)
                records = (path,) if is_own else (_records(text.head, path),)
                for _, raw in JsonValues(text.chunks(), records):
                    value = loaded_value(raw)
                    if isinstance(value, dict) and "id" in value and kept < _MAX_KEPT:
                        kept += 1
                        cells = {name.replace("_", ""): cell for name, cell in value.items()}
                        yield (
                            scalar_text(value["id"]),
                            {k: scalar_text(v) for k, v in cells.items() if v and k in self._used},
                        )

    def _streams(self, stem: str) -> Iterator[tuple[ByteStream, bool]]:
        """Open the source once more, and the files of that name beside it."""
        stream = self._stream
        if stream is None or stream.again is None or stream.beside.members is None:
            return
        yield stream.again(), True
        members = stream.beside.members
        for ending in (".json", ".jsonl", ".json.gz"):
            if name := stream.beside.find(stem + ending):
                yield SourceFile(f"{members.name}/{name}", members, name).stream(), False


def _stem(path: str) -> str:
    return path.partition("[")[0].rpartition(".")[2]


def _records(head: bytes, path: str) -> str:
    """Find where the objects of a file are that holds nothing else."""
    value = opening_value(head)
    if isinstance(value, dict):
        return path if _stem(path) in value else ""
    return "[*]"
