"""The head of a mail: who, when, about what, and what became of it, in whose mailbox.

Read with the old, lenient half of the standard library: its new one parses every header by the
grammar, takes twenty times as long, and raises on headers that break it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from email import utils
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from functools import cache, lru_cache
from typing import Final, NamedTuple
from unicodedata import normalize

from leadconnector_async.errors import SourceError
from leadconnector_async.leave_out import LEAVE_OUT
from leadconnector_async.sources.base import SourceOptions
from leadconnector_async.sources.fields import WrongValueError, notice, table_of
from leadconnector_async.sources.files.encoding import decode_text, sound
from leadconnector_async.sources.values.date_forms import FIX_DATE, read_mail_date

_MSG_ID: Final = re.compile(r"<([^<>]+)>")

# Newer versions give nobody where a list of addresses is odd; here a half is better than nothing.
_LOOSE: Final = {"strict": False} if getattr(utils, "supports_strict_parsing", False) else {}

_NO_NAME: Final = re.compile(r"=\?|\?=|\ufffd|\A\S+@\S+\Z|\A[\W_]*\Z")
"""What is left of a name that was encoded or cut wrongly, an address in its place, or no letter."""


class MailPerson(NamedTuple):
    """A name, which may be empty, and an address."""

    name: str
    address: str

    @property
    def folded(self) -> str:
        """The address as it compares with others."""
        return self.address.lower()


class Head:
    """The headers of one mail, by their names in lower case."""

    def __init__(self, mail: Message) -> None:
        self._values: dict[str, list[str]] = {}
        self._people: dict[str, dict[str, MailPerson]] = {}
        for name, value in mail.raw_items():
            unfolded = str(value).replace("\r", "").replace("\n", "")
            self._values.setdefault(name.lower(), []).append(unfolded)
        value = self.first("message-id")
        found = _MSG_ID.search(value)
        self.id: str | None = _bare(found[1] if found else value)
        """The Message-ID without its brackets, which are no part of it (RFC 5322, 3.6.4)."""

    def first(self, name: str) -> str:
        """The first header of that name, as it stands; empty if there is none."""
        values = self._values.get(name)
        return values[0].strip() if values else ""

    def people(self, name: str) -> list[MailPerson]:
        """Everybody whom the headers of that name give an address of, once.

        An address in the place of a name, without quotes, is read as a person before its own.
        """
        if name not in self._people:
            values = [_raw_text(value) for value in self._values.get(name, ())]
            people = self._people[name] = {}
            for person, address in utils.getaddresses(values, **_LOOSE) if values else ():
                if "@" in address.strip("@"):  # Outlook puts bare ones in quotes
                    one = MailPerson(_name(person), address.strip(" '"))
                    people.setdefault(one.folded, one)
        return list(self._people[name].values())

    @property
    def ancestors(self) -> list[str]:
        """The ids of the mails that this one answers, nearest first."""
        names = _MSG_ID.findall(self.first("in-reply-to"))
        names += reversed(_MSG_ID.findall(self.first("references")))
        return [name for name in dict.fromkeys(map(_bare, names)) if name and name != self.id][:100]

    def date(
        self,
        zone: tzinfo | None = None,
        postmark: tuple[str, str] | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> datetime | WrongValueError:
        """When it was sent, or else when it arrived. Naive where its offset is not known.

        The last resort, of a mail without a date, is that of its ``From`` line, in UTC (RFC 4155).
        ``tell`` is told where it is not the mail's own. ``zone`` is the user's.
        """
        given = self.first("date")
        wrong = WrongValueError("is missing", FIX_DATE)
        if given:
            try:
                return read_mail_date(_raw_text(given), zone)
            except WrongValueError as error:
                text = None if error.given == "" else sound(_raw_text(given))
                wrong = WrongValueError(error.wrong, error.fix, text)
        for value in self._values.get("received", ()):
            with suppress(WrongValueError):
                date = read_mail_date(value.rpartition(";")[2], zone)
                what = "a date that cannot be read" if given else "no date"
                tell(f"mails with {what}: that of their arrival is taken")
                return date
        if postmark and not given:
            with suppress(WrongValueError):
                date = read_mail_date(postmark[1], zone)
                tell('mails with no date: that of their "From " line is taken, in UTC')
                return date if date.tzinfo else date.replace(tzinfo=UTC)
        return wrong


def _name(text: str) -> str:
    name = " ".join(_words(text).split()).strip("'\"").strip()
    return "" if _NO_NAME.search(name) else name


def header_text(value: str) -> str:
    """Decode a header."""
    return " ".join(_words(_raw_text(value)).split())


def _bare(name: str) -> str | None:
    bare = "".join(_raw_text(name).split())
    return bare if bare and bare.isprintable() else None


def _raw_text(value: str) -> str:
    """Decode the bytes of a header that were not encoded as they should."""
    if value.isascii():
        return value
    return decode_text(value.encode("utf-8", "surrogateescape"), None)


def _words(text: str) -> str:
    """Decode encoded words (RFC 2047)."""
    if "=?" not in text:
        return sound(text)
    try:
        pieces = decode_header(text)
    except (HeaderParseError, ValueError):
        return sound(text)
    own = "raw-unicode-escape"  # what decode_header uses itself
    texts = (
        piece if isinstance(piece, str) else decode_text(piece, charset or own)
        for piece, charset in pieces
    )
    return sound("".join(texts))


_OF_FOLDERS: Final = {"templates": "drafts", "unsent messages": "drafts"}
"""Folders of Thunderbird with mails that were not sent. As labels they can be the user's own."""

_LABEL: Final = re.compile(r'\s*(?:"\\*([^"]*)"|(?:\\+|\[[\w ]+\]/)?([^,]+))')
"""A name, behind the sign of one of IMAP, or the label below which Gmail keeps a program's."""

_ENDINGS: Final = re.compile(r"(?:\.(?:gz|mbox|mbx|sbd|maildir))+\Z", re.IGNORECASE)

_UTF7: Final = re.compile(r"&([A-Za-z0-9+,]*)-")


def _folded(name: str) -> str:
    return " ".join(normalize("NFC", name.casefold()).split())


@cache
def _states() -> dict[str, str]:
    table = table_of("mail_states").items()
    return {_folded(word): state for state, words in table for word in words}


@lru_cache(maxsize=1024)  # the same few lists come again and again
def states_of_labels(value: str) -> frozenset[str]:
    """What the labels of a mail say of it: spam, trash, drafts, chats or sent.

    ``value`` is the header ``X-Gmail-Labels``: names between commas, some in quotes.
    """
    names = (quoted or plain for quoted, plain in _LABEL.findall(header_text(value)))
    return frozenset(_states().get(_folded(name), "") for name in names) - {""}


def states_of_folders(parts: Iterable[str]) -> set[str]:
    """What the folders and the file that a mail lies in say of it.

    A folder of Maildir++ has the names of those above it in its own, between dots.
    """
    found: set[str] = set()
    for part in parts:
        nested = part.startswith((".", "INBOX."))
        for name in part.split(".") if nested else [_ENDINGS.sub("", part)]:
            folded = _folded(_from_utf7(name))
            found.add(_states().get(folded) or _OF_FOLDERS.get(folded, ""))
    return found - {""}


def _from_utf7(name: str) -> str:
    """Decode a folder's name as IMAP servers write it (RFC 3501, 5.1.3)."""

    def decoded(match: re.Match[str]) -> str:
        shifted = f"+{match[1].replace(',', '/')}-" if match[1] else "&"
        return shifted.encode().decode("utf-7", "replace")

    return _UTF7.sub(decoded, name)


_OPTIONAL: Final = ("chats", "bounces")

_STATUS_FLAGS: Final = {"D": "deleted", "T": "drafts"}
"""Letters of ``X-Status``, in which IMAP servers and Mutt keep flags in an mbox."""

_AUTOMATIC: Final = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-failed-recipients")
"""Headers that answering machines and mail servers alone write."""


class LeftOutError(Exception):
    """A mail is not to be imported: why, and its Message-ID."""


def left_out_states(options: SourceOptions) -> dict[str, str]:
    """The states of mails that are not imported, each with why.

    Raises:
        SourceError: a label is asked for that is never left out.
    """
    known: dict[str, str] = table_of("notices")["states_left_out"]
    wanted = set(known) if "all" in options.labels else set[str]()
    for label in options.labels - {"all"}:
        state = _states().get(_folded(label), "")
        if state not in known:
            raise SourceError(f"--labels {label}: give spam, trash, drafts or all")
        wanted |= {state, "deleted"} if state == "trash" else {state}
    left_out = {state: why for state, why in known.items() if state not in wanted}
    return left_out | {kind: LEAVE_OUT[kind] for kind in _OPTIONAL if kind in options.leave_out}


def states_of(head: Head) -> set[str]:
    """What a mail's headers say became of it."""
    states = set(states_of_labels(head.first("x-gmail-labels")))
    states |= {state for flag, state in _STATUS_FLAGS.items() if flag in head.first("x-status")}
    states |= {"drafts"} if head.first("x-unsent").strip() == "1" else set()  # Outlook's
    states |= {"internal"} if head.first("x-imap") else set()  # of UW IMAP, Pine and Dovecot
    with suppress(ValueError):  # no number
        if int(head.first("x-mozilla-status"), 16) & 0x0008:  # still there until it is compacted
            states.add("deleted")
    if _is_automatic(head):
        states.add("bounces")
    return states


def notices_of(states: set[str], head: Head) -> Iterator[str]:
    """What is to be known of a mail that is imported."""
    if "drafts" in states:
        yield "drafts, which were perhaps never sent: they are imported as if they had been"
    for kind in _OPTIONAL:
        if kind in states:
            yield f"{LEAVE_OUT[kind]}: they are imported; --leave-out {kind} leaves them out"
    # A filter's opinion is no state: whoever agreed with it has moved the mail to the spam.
    if head.first("x-spam-flag").upper() == "YES" and "spam" not in states:
        yield "mails that a filter held for spam, but that are not among the spam: imported"


def _is_automatic(head: Head) -> bool:
    """Tell bounces (RFC 3464) and automatic answers (RFC 3834) from what people and shops send."""
    sender = next(iter(head.people("from")), None)
    return (
        (sender is not None and sender.folded.startswith("mailer-daemon@"))
        or head.first("return-path") == "<>"
        or head.first("content-type").lower().startswith("multipart/report")
        or head.first("auto-submitted").lower().startswith("auto-replied")
        or head.first("precedence").lower() == "auto_reply"
        or any(head.first(name).lower() not in {"", "no"} for name in _AUTOMATIC)
    )


_NUMBER: Final = re.compile(r"\+?[\d ().-]+")
"""The owner's own, which tells nothing about mails."""

_SLIP: Final = re.compile(r"[\w-]+(?:\.[\w-]+)+")
"""An address or a domain without its ``@``."""


class OwnAddresses:
    """The owner's addresses.

    Raises:
        SourceError: there are none, or one is no address.
    """

    def __init__(self, source: str, addresses: Sequence[str]) -> None:
        # Numbers, and names beside an address, are the owner's in chats: one command reads both.
        others = [given for given in addresses if not _NUMBER.fullmatch(given.strip())]
        alike = [given for given in others if "@" in given or _SLIP.fullmatch(given.strip())]
        addresses = alike or others
        if not addresses:
            raise SourceError(f"{source}: {notice('mails_of_nobody')}")
        for address in addresses:
            if "@" not in address or address.strip().endswith("@"):
                raise SourceError(f"{source}: {notice('no_own_address', address=address)}")
        self._own = {address.strip().lower() for address in addresses}

    def __contains__(self, person: MailPerson) -> bool:
        address = person.folded
        return address in self._own or f"@{address.rpartition('@')[2]}" in self._own
