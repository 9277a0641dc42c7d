"""What a source of records gives: rows, and what is wrong with the others."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol, get_args, get_origin
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from leadconnector_async.arguments import check, fields_of
from leadconnector_async.errors import SourceError
from leadconnector_async.models import Contact, MessageFields, Problem

LINE_LIMIT: Final = 4 << 20
"""Bytes of the longest record that is read. A longer one is a problem of its own line."""

FormatName = Literal["jsonl", "csv", "eml", "mbox", "xml", "excel", "parquet", "singer"]

FORMATS: Final[tuple[str, ...]] = get_args(FormatName)

MAIL_LIMIT: Final = 40 << 20
"""Bytes of the longest mail that is read: an attachment as large as the API takes, encoded."""


LOCATION_PREFIX: Final = "leadconnector:"


class UnreadableError(SourceError):
    """What it is, and holds, cannot be looked at: there may be records in it."""


@contextmanager
def needs(what: str, package: str, extra: str) -> Iterator[None]:
    """Let a package be imported, or say which extra brings it.

    Raises:
        UnreadableError: it is not installed.
    """
    try:
        yield
    except ImportError as error:
        fix = f"pip install 'leadconnector-async[{extra}]'"
        raise UnreadableError(f"{what}: needs the package {package}: {fix}") from error


def location_in(path: str) -> str | None:
    """The location that a source is, where it is one: ``leadconnector:ID``."""
    return path.removeprefix(LOCATION_PREFIX) if path.startswith(LOCATION_PREFIX) else None


class SourceRow(MessageFields, forbid_unknown_fields=True):
    """A record as its source gives it: shapes are right, the rules per type are not yet checked.

    ``date`` is in UTC. ``attachments`` are URLs; files of this machine, which were there and of an
    allowed type and size when the row was read, are ``file://`` ones. ``outbox_key`` comes from a
    list of failed records: the row replaces the record of that key.

    ``contact`` names who the record is with where no id does, its number in E.164 and its address
    in lower case, so that two spellings are one contact. ``in_reply_to`` are the ids of the
    earlier mails of the thread, nearest first.

    Example:
        >>> with open_source("history.csv") as source:
        ...     print([parsed.row.type for parsed in source if parsed.row is not None])
        ['SMS']
    """

    id: str | None = None
    location_id: str | None = None
    outbox_key: str | None = None
    contact: Contact | None = None
    in_reply_to: list[str] | None = None


class SettledContact(Contact, frozen=True, kw_only=True):
    """Whom a record is with, by a `Directory`. ``said`` is what the record itself says of that."""

    said: str


SOURCE_LINE: Final = "sourceLine"
"""The digest of what a source says of a record, where options tell what is made of it."""


class Identity(NamedTuple):
    """Which record a refused one is, as far as it says so.

    Example:
        >>> Identity("crm-17", "ve9EPM428h8vShlRW1KT", None).id
        'crm-17'
    """

    id: str | None
    location_id: str | None
    outbox_key: str | None


class Parsed(NamedTuple):
    """One record of a source, good or not.

    Example:
        >>> with open_source("history.csv") as source:
        ...     print([(parsed.line, parsed.problems) for parsed in source])
        [(2, ())]
    """

    line: int
    """Where the record starts, from 1. A record of CSV can span lines."""
    raw: bytes
    """The record in the source's own form.

    JSON Lines: the line. CSV: a JSON array of the cells, or, where no cells could be told apart,
    a JSON string with the line.
    """
    row: SourceRow | None
    """None if there are problems."""
    problems: tuple[Problem, ...]
    identity: Identity | None = None
    """Given for refused records that could be read so far."""
    left_out: str | None = None
    """Why the record is not to be sent, though nothing is wrong with it: a plural such as
    "drafts", which is told with the count and the lines. ``row`` is None then."""
    notices: tuple[str, ...] = ()
    """What of the record is not carried over, or was read in a way that its owner should know of.
    Equal words are counted together, so they hold nothing that differs per record."""
    within: str | None = None
    """Where the record is in a folder or a workbook: the file or sheet, and the line in that."""

    def place(self, source: str) -> str:
        """Where the record is, for a source of that name."""
        return f"{source}/{self.within}" if self.within else f"{source}:{self.line}"

    def __repr__(self) -> str:
        return f"Parsed(line={self.line}, row={self.row!r}, problems={self.problems!r})"


class Directory(Protocol):
    """Whose numbers and addresses are whose, by the files of ``paths``.

    ``warnings`` tell what of them could not be read.
    """

    paths: tuple[str, ...]
    warnings: list[str]

    def settle(self, contact: Contact) -> Contact | Problem:
        """Give what is known of whom a record names, or say why it is not."""


class SourceOptions(Struct, frozen=True, kw_only=True):
    """How to read a source.

    ``mapping`` names, for a field, the column (or JSON key) that holds it. A column that is named
    there feeds the fields it is named for, and no other.

    ``timezone`` applies to dates without an offset. A local time that occurs twice, when clocks
    go back, is the first of the two; one that is skipped, when they go forward, counts as if the
    clocks had not changed (``fold=0`` in both cases).

    ``encoding`` is a name that Python knows. A byte order mark, and UTF-8 beyond doubt, win over
    it.

    ``delimiter`` and ``format`` default to what the file's name and beginning say. A format may be
    the name of a plug-in.

    ``region`` is the country, such as ``US``, whose national forms telephone numbers without a
    country code are in.

    ``mine`` are the owner's addresses, or ``@domain`` for all of one: they tell which mails were
    sent and which were received. Numbers among them are no members of the owner's groups.
    ``spool`` is the folder where attachments that came within a source are kept until they are
    uploaded; without one they are named, and written nowhere.

    ``mapping_file`` is a mapping of another system's export: the name of one that comes with the
    library, or a path. ``mapping`` goes before it. ``mappings`` are folders of more of them, which
    have names and are recognised as those of the library are, and go before these.

    ``leave_out`` are kinds (see `LEAVE_OUT`) that are not to be sent. Without them those that name
    nobody to send to are refused.

    ``numbers`` says which telephone numbers are taken: those that exist, or all that have the
    length of one. ``groups`` tells whom a message of a group is with: each other member, or the
    first one; a received one is always its sender's.

    ``undated`` is what becomes of a record without a date: it fails, or takes the time of its
    sending. ``date_format`` is the form of dates as `datetime.strptime` takes it.

    ``labels`` are those under which mails are read that are left out otherwise, such as
    ``spam``; ``all`` for every one. ``sheet`` is the one sheet of a workbook to read.

    ``files`` are folders, beside the source's own, that paths of attachments may reach.
    ``other_files`` is what becomes of an attachment of a type that the API does not take.
    ``fetch_attachments`` puts files in place of URLs when an import stages its records;
    ``fetch_private`` lets them come from addresses that are not public.
    ``call_notes`` writes what a source has of calls, and the API has no field for, such as
    durations and transcripts, into their text.
    ``people`` tells whose numbers and addresses are whose, as `read_people` gives it.
    ``repair_text`` mends text that was decoded wrongly before it came here.

    Example:
        >>> with open_source("history.csv", SourceOptions(region="US")) as source:
        ...     outcomes = [outcome async for outcome in ingestor.run(source)]
    """

    mapping: dict[str, str] = field(default_factory=dict)
    timezone: ZoneInfo | None = None
    encoding: str | None = None
    delimiter: str | None = None
    format: str | None = None
    region: str | None = None
    mine: tuple[str, ...] = ()
    spool: Path | None = None
    mapping_file: str | None = None
    mappings: tuple[Path, ...] = ()
    leave_out: frozenset[str] = frozenset()
    numbers: Literal["valid", "possible"] = "valid"
    groups: Literal["each", "first"] = "each"
    undated: Literal["fail", "now"] = "fail"
    date_format: str | None = None
    labels: frozenset[str] = frozenset()
    sheet: str | None = None
    files: tuple[Path, ...] = ()
    other_files: Literal["zip", "leave-out", "fail"] = "zip"
    fetch_attachments: bool = False
    fetch_private: bool = False
    call_notes: Literal["on", "off"] = "on"
    people: Directory | None = None
    repair_text: bool = False

    def __post_init__(self) -> None:
        for of in fields_of(type(self)):
            if get_origin(of.type) is Literal:  # the others may be of like types
                check({of.name: getattr(self, of.name)}, of.type)


class Source(AbstractContextManager["Source", None], Protocol):
    """Records to read once, in order. A context manager: it may hold a file open.

    Example:
        >>> with open_source("history.csv") as source:
        ...     print(source.name, len(list(source)))
        history.csv 1
    """

    name: str
    form: bytes
    """What `write_failed` has to know to write records in the source's own form. JSON."""
    warnings: list[str]
    """What was passed over, each once. Complete when the reading is."""

    @property
    def bytes_read(self) -> int:
        """How far the file is read, in bytes as they are stored."""

    @property
    def size(self) -> int | None:
        """Bytes of the file; None where it cannot be known (a pipe)."""

    def __iter__(self) -> Iterator[Parsed]:
        """Read the records.

        Raises:
            SourceError: the file cannot be read further.
        """
