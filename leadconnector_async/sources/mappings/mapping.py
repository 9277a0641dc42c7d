"""Mappings of other systems' exports: what they may say. ``docs/mappings.md`` explains each key."""

from collections.abc import Iterable
from typing import Any, Final, Literal, Self

from msgspec import Struct, field, structs

from leadconnector_async.sources.fields import folded

ColumnNames = str | list[str]
"""One column, which has to be there, or several, of which the first one that is filled counts."""


class Example(Struct, frozen=True, forbid_unknown_fields=True):
    """A file's text as the other system writes it, and the records that the mapping makes of it."""

    given: str
    makes: list[dict[str, Any]]
    region: str | None = None
    timezone: str | None = None
    mine: list[str] = field(default_factory=list)


class Case(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The value of a field, or its column, in records whose columns hold what ``where`` says."""

    where: dict[str, ColumnNames]
    value: str = ""
    column: str | None = None


class FieldRule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one field is made of columns."""

    column: ColumnNames = field(default_factory=list)
    inbound: ColumnNames = field(default_factory=list)
    outbound: ColumnNames = field(default_factory=list)
    instead: list[str] = field(default_factory=list)
    constant: str | None = None
    default: str | None = None
    present: dict[str, str] = field(default_factory=dict)
    without_text: dict[str, str] = field(default_factory=dict)
    join: list[ColumnNames] = field(default_factory=list)
    maybe: list[str] = field(default_factory=list)
    sender: list[str] = field(default_factory=list)
    senders: dict[str, str] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    strip: list[str] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)
    formats: list[str] = field(default_factory=list)
    zone: str | None = None
    separator: str | None = None
    glue: str | None = None
    phone: bool = False
    several: bool = False
    folder: str | None = None
    dated: str | None = None
    before: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    empty: list[str] | None = None
    cases: list[Case] = field(default_factory=list)
    kinds: dict[str, list[str]] = field(default_factory=dict)
    missing: str | None = None


class LeaveOut(Struct, frozen=True, forbid_unknown_fields=True, rename={"reason": "as"}):
    """Which records are left out, by the values of columns, and what they are.

    Where only what is ``sent`` can be that, what was received is not left out. ``call`` are
    exceptions too, but none for a record whose type says in a word of its own that it is no call.
    """

    where: dict[str, str | list[str]]
    reason: str
    but: dict[str, str | list[str]] = {}
    call: dict[str, str | list[str]] = {}
    sent: bool = False


class NotCarried(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is told of records in which a column is filled: the API has no place for it."""

    told: str
    unless: str | None = None
    alone: str | None = None
    note: str | None = None
    unit: Literal["s", "ms", "min"] | None = None


class Inner(Struct, frozen=True, forbid_unknown_fields=True):
    """A column made of elements within a record of XML, one line for each."""

    element: str
    attribute: str
    where: dict[str, str] = {}
    base64: str | None = None


class Files(Struct, frozen=True, forbid_unknown_fields=True):
    """Files in base64 within a record of XML: their content, and where names and types stand."""

    element: str
    attribute: str
    name: list[str] = []
    type: str | None = None
    besides: list[str] = []
    lost: str | None = None


class Members(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who wrote and who received a message, in elements within it, by the value of ``role``."""

    element: str = ""
    attribute: str = ""
    role: str = ""
    senders: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)


class TextForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Text in which records follow one another, by regular expressions. Groups are columns."""

    begins: list[str]
    within: list[str] = []
    ends: list[str] = []
    blocks: list[str] = []


OF_CHAT: Final = ("author", "name", "other", "people", "session", "title")
"""What of a chat's form names columns."""


class ChatForm(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How rows of a chat tell its sides: columns, of which the first that is filled counts."""

    author: list[str] = []
    name: list[str] = []
    other: list[str] = []
    people: list[str] = []
    session: list[str] = []
    title: list[str] = []
    titles: list[str] = []
    groups: list[str] = []
    own: list[str] = []
    types: dict[str, str] = {}
    strip: list[str] = []
    optional: bool = False


class Pick(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A column of HTML: what a selector of CSS finds in a record, or on the page before it."""

    select: str
    attribute: str | None = None
    all: bool = False
    page: bool = False
    file: bool = False


class RecordKind(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one kind of record is read: its fields, and the values of columns that leave it out."""

    fields: dict[str, FieldRule] = field(default_factory=dict)
    skip: dict[str, list[str]] = field(default_factory=dict)
    leave_out: list[LeaveOut] = field(default_factory=list)
    without_content: list[LeaveOut] = field(default_factory=list)
    not_carried: dict[str, str | NotCarried] = field(default_factory=dict)
    chat: ChatForm | None = None
    inner: dict[str, Inner] = field(default_factory=dict)
    files: Files | None = None
    members: Members | None = None
    begins: str = ""
    picks: dict[str, Pick] = field(default_factory=dict)


class Definition(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A mapping: of tables and JSON, of text, or of the elements of an XML or HTML file."""

    about: str = ""
    requires: list[ColumnNames] = field(default_factory=list)
    root: list[str] = field(default_factory=list)
    wants: dict[str, str] = field(default_factory=dict)
    records: ColumnNames = field(default_factory=list)
    holders: list[list[str]] = field(default_factory=list)
    within: list[str] = field(default_factory=list)
    beside: str | None = None
    numbered: str | None = None
    lookup: dict[str, str] = field(default_factory=dict)
    repair: bool = False
    empty: list[str] = field(default_factory=list)
    fields: dict[str, FieldRule] = field(default_factory=dict)
    skip: dict[str, list[str]] = field(default_factory=dict)
    leave_out: list[LeaveOut] = field(default_factory=list)
    not_carried: dict[str, str | NotCarried] = field(default_factory=dict)
    elements: dict[str, RecordKind] = field(default_factory=dict)
    text: TextForm | None = None
    chat: ChatForm | None = None

    @property
    def is_html(self) -> bool:
        """Tell a mapping of pages of HTML."""
        return any(kind.begins for kind in self.elements.values())

    @property
    def is_recognised(self) -> bool:
        """Tell whether a file is known by its columns, keys or beginning."""
        return bool(self.requires or self.root or self.text or self.holders or self.is_html)

    @property
    def needs_its_file(self) -> bool:
        """Tell whether a record can be read beside the others of its file alone."""
        return self.chat is not None or bool(self.lookup)

    @property
    def table(self) -> RecordKind:
        """The one kind of record that a table, or JSON, has."""
        names = (name for name in RecordKind.__struct_fields__ if hasattr(self, name))
        return RecordKind(**{name: getattr(self, name) for name in names})

    def columns(self) -> set[str]:
        """Every column of a table that the mapping knows, in one spelling."""
        if self.text is not None:
            return set()
        required = (name for names in self.requires for name in as_list(names))
        read = (name for rule in self.fields.values() for name in columns_of(rule))
        return {folded(name) for name in (*read, *required, *columns_told_of(self.table))}

    def fitted(self, names: Iterable[str]) -> Self:
        """Give what of it is for a file whose columns or keys have these names."""
        if self.chat is None or not self.chat.optional:
            return self
        there, chat = {*map(folded, names)}, self.chat
        told = chat.session, (*chat.author, *chat.title)  # without either nobody is named
        is_one = all(not there.isdisjoint(map(folded, columns)) for columns in told)
        return self if is_one else structs.replace(self, chat=None)

    def fits(self, names: Iterable[str]) -> bool:
        """Tell a file that is known by columns or keys of these names."""
        return bool(self.requires) and not self.lacking(names)

    def lacking(self, names: Iterable[str]) -> list[str]:
        """Name the columns that are required and not among these."""
        there = {folded(name) for name in names}
        choices = (as_list(required) for required in self.requires)
        return [
            " or ".join(columns)
            for columns in choices
            if there.isdisjoint(folded(column) for column in columns)
        ]


def as_list(names: ColumnNames) -> list[str]:
    """Take one name, or several, as several."""
    return [names] if isinstance(names, str) else names


def columns_of(rule: FieldRule) -> list[str]:
    """Every column that a rule reads, once."""
    own = (*rule.join, rule.before, rule.column, rule.inbound, rule.outbound, rule.instead)
    groups = (*own, [*rule.flags], rule.maybe, rule.sender, rule.code)
    return list(dict.fromkeys(name for names in groups for name in as_list(names)))


def columns_read(kind: RecordKind) -> set[str]:
    """Every column that makes a field, leaves a record out, or whose loss is told."""
    names = {name for rule in kind.fields.values() for name in (*columns_of(rule), *rule.present)}
    return names | columns_told_of(kind)


def columns_told_of(kind: RecordKind) -> set[str]:
    """Every column of a case, that decides what is left out, or whose loss is told otherwise."""
    cases = (
        (*case.where, *filter(None, [case.column]))
        for rule in kind.fields.values()
        for case in rule.cases
    )
    wheres = (*cases, *((*rule.where, *rule.but, *rule.call) for rule in kind.leave_out))
    chat = [name for of in OF_CHAT for name in getattr(kind.chat, of, ())]
    return {*kind.skip, *kind.not_carried, *chat, *(name for where in wheres for name in where)}
