"""From the bytes of a mail to named values, as a record of JSON would give them.

The parts of a mail: its text, its HTML, and what is attached.
"""

from __future__ import annotations

import re
from email.errors import CloseBoundaryNotFoundDefect
from email.parser import BytesFeedParser
from email.policy import compat32
from typing import TYPE_CHECKING, Final, NamedTuple

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Problem
from leadconnector_async.sources.attachments import Attached, named_for
from leadconnector_async.sources.encoding import body, decode_text
from leadconnector_async.sources.fields import WrongValueError
from leadconnector_async.sources.mail_headers import Head, header_text, notices_of, states_of
from leadconnector_async.sources.mapped_rules import SEVERAL
from leadconnector_async.sources.mbox import postmark_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import tzinfo
    from email.message import Message

    from leadconnector_async.sources.attachments import Attachments
    from leadconnector_async.sources.mail_headers import Person, Selection
    from leadconnector_async.sources.mbox import Piece

    Values = dict[str, object]
    Warn = Callable[[str], None]

_DEEPEST: Final = 40
"""Multiparts within each other. Real mails have five."""


class MailContent:
    """What a mail holds. A mail can have several texts, such as a footer added by a list.

    ``warn`` is told of what was replaced or left out.
    """

    def __init__(self, warn: Warn) -> None:
        self.texts: dict[str, list[str]] = {"text/plain": [], "text/html": []}
        self.files: list[Attached] = []
        self._warn = warn

    def __repr__(self) -> str:
        return f"Content({[*map(len, self.texts.values())]} texts, {len(self.files)} files)"

    def text(self, kind: str) -> str | None:
        """The text of a media type, if there is any."""
        return "\n".join(text for text in self.texts[kind] if text.strip()) or None

    def add(self, part: Message, depth: int = 0) -> None:
        """Take a mail, or a part of one, apart."""
        if depth > _DEEPEST:
            self._warn("parts within parts, too deep to be read: they are left out")
        elif part.get_content_type() == "multipart/alternative":
            self._add_best(part, depth)
        elif part.get_content_maintype() == "multipart":
            for child in _children(part):
                self.add(child, depth + 1)
        elif part.is_multipart():
            self._add_mail(part)
        else:
            self.add_leaf(part)

    def _add_best(self, part: Message, depth: int) -> None:
        """Of several forms of a text take the last of each kind: writers put the best one last."""
        choices = [MailContent(self._warn) for _ in _children(part)]
        for child, choice in zip(_children(part), choices, strict=True):
            if child.is_multipart() or child.get_content_type() in self.texts:
                choice.add(child, depth + 1)
            elif child.get_content_maintype() != "text":  # others are the same text once more
                choice.add_leaf(child)
        for kind, texts in self.texts.items():
            texts.extend(next((best for one in choices[::-1] if (best := one.texts[kind])), ()))
        self.files += (file for choice in choices for file in choice.files)

    def _add_mail(self, part: Message) -> None:
        """Keep a mail within a mail as a text file: the API takes no other form of it."""
        try:
            inner = b"\n\n".join(child.as_bytes() for child in _children(part))
        except (LookupError, ValueError, TypeError):  # the generator cannot write all it parsed
            self._warn("forwarded mails that cannot be written again: they are left out")
            return
        self._keep(_filename(part) or "forwarded mail", "text/plain", inner)

    def add_leaf(self, part: Message) -> None:
        """Take a part that has no others in it."""
        payload = part.get_payload(decode=True)
        data = payload if isinstance(payload, bytes) else b""
        kind, filename = part.get_content_type(), _filename(part)
        is_text = kind in self.texts and part.get_content_disposition() != "attachment"
        if is_text and not filename:
            text = decode_text(data, part.get_content_charset(), self._warn)
            self.texts[kind].append(body(text))
        else:
            self._keep(filename or "attachment", kind, data)

    def _keep(self, filename: str, kind: str, data: bytes) -> None:
        file = named_for(filename, kind, data, self._warn)
        self.files += () if file is None else (file,)


def _children(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (child for child in payload if not isinstance(child, str))
    elif isinstance(payload, str):  # its boundary is missing: it is all text
        part.set_type("text/plain")
        yield part


def _filename(part: Message) -> str | None:
    """Read a file's name, which many programs write as words of RFC 2047, or in UTF-8 as it is."""
    name = part.get_filename()
    return name and header_text(name)


_CHUNK: Final = 1 << 16
"""Bytes fed to the parser at once: given a whole mail, it would hold four copies of it."""

_NUMBER: Final = re.compile(r"\+?[\d ().-]+")
"""The owner's own, which tells nothing about mails."""

_SLIP: Final = re.compile(r"[\w-]+(?:\.[\w-]+)+")
"""An address or a domain without its ``@``."""

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")

_FIX_SIDE: Final = "give contact.email and direction in the list of failed records"

OPEN_END: Final = "mails whose last part has no end: they may be cut short"

_NOT_MINE: Final = (
    "mails among the sent ones whose sender is none of --mine: they are taken for received ones; "
    "give that address with --mine too, if it is yours"
)

_BROKEN: Final = Problem(
    "mail", "has a structure that cannot be read", "open and save it in a mail program, or skip it"
)


class OwnAddresses:
    """The owner's addresses.

    Raises:
        SourceError: there are none, or one is no address.
    """

    def __init__(self, source: str, addresses: Sequence[str]) -> None:
        # Numbers, and names beside an address, are the owner's in chats: one command reads both.
        others = [given for given in addresses if not _NUMBER.fullmatch(given.strip())]
        addresses = [given for given in others if "@" in given or _SLIP.fullmatch(given.strip())]
        addresses = addresses or others
        if not addresses:
            raise SourceError(
                f"{source}: holds mails: give your own addresses, such as --mine me@example.com, "
                "so that sent ones can be told from received ones"
            )
        for address in addresses:
            if "@" not in address or address.strip().endswith("@"):
                raise SourceError(
                    f"{source}: --mine {address} is no address: "
                    "give one such as me@example.com, or @example.com for all of a domain"
                )
        folded = {address.strip().lower() for address in addresses}
        self._domains = {address for address in folded if address.startswith("@")}
        self._addresses = folded - self._domains

    def __contains__(self, person: Person) -> bool:
        address = person.folded
        return address in self._addresses or f"@{address.rpartition('@')[2]}" in self._domains


class MailOptions(NamedTuple):
    """How mails are read, and ``warn``, which is told what is to be known of the one at hand.

    With ``undated`` a mail may have no date.
    """

    mine: OwnAddresses
    selection: Selection
    files: Attachments
    zone: tzinfo | None
    undated: bool
    warn: Warn


def read_mail(
    piece: Piece, how: MailOptions, *, head_only: bool = False
) -> tuple[Values, Problem | None]:
    """Name the values of a mail. A problem is of the mail as a whole.

    Raises:
        LeftOut: it is not to be imported.
        SourceError: an attachment cannot be kept.
    """
    values: Values = {"type": "Email"}
    raw = piece.content
    try:
        mail = _parsed(_HEAD_END.split(raw, 1)[0] if head_only else raw)
        values |= _head_values(Head(mail), piece, how)
        if not head_only:
            values |= _content_values(mail, how.files, how.warn)
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError, RecursionError):
        # The parser raises any of these on mails that were made to break it.
        return values, _BROKEN
    return values, None


def _parsed(raw: bytes) -> Message:
    parser = BytesFeedParser(policy=compat32)
    for start in range(0, len(raw), _CHUNK):
        parser.feed(raw[start : start + _CHUNK])
    return parser.close()


def _head_values(head: Head, piece: Piece, how: MailOptions) -> Values:
    states = states_of(head) | piece.states
    how.selection.check(states, head.id)
    for notice in notices_of(states, head):
        how.warn(notice)
    postmark = postmark_of(piece.postmark)
    # What programs write that know no sender: the date with it is that of their writing.
    if postmark and postmark[0].upper() == "MAILER-DAEMON" and "bounces" not in states:
        postmark = None
    date = head.date(how.zone, postmark, how.warn)
    if isinstance(date, WrongValueError):
        at: object = None if how.undated and not head.first("date") else date
    else:
        at = date.isoformat()
    return {
        "id": head.id,
        "altId": head.id,
        "date": at,
        "subject": head.text("subject") or None,
        "inReplyTo": head.ancestors or None,
        **_side_values(head, states, how),
    }


def _side_values(head: Head, states: set[str], how: MailOptions) -> Values:
    """Tell who wrote to whom, seen from the owner of the mailbox."""
    sender = next(iter(head.people("from") or head.people("sender")), None)
    to, cc, bcc = head.people("to"), head.people("cc"), head.people("bcc")
    others = [person for person in (*to, *cc, *bcc) if person not in how.mine]
    is_sent = sender is not None and sender in how.mine
    other = next(iter(others), None) if is_sent else sender
    values: Values = {
        "emailFrom": sender.address if sender else None,
        "emailBcc": [person.address for person in bcc] or None,
    }
    if other is None:
        whom = "all its recipients are yours" if to or cc or bcc else "the mail names no recipient"
        whom = whom if is_sent else "the mail names no sender"
        values["contact.email"] = WrongValueError(f"cannot be told: {whom}", _FIX_SIDE)
    else:
        if "sent" in states and not is_sent:
            how.warn(_NOT_MINE)
        values |= {
            "direction": "outbound" if is_sent else "inbound",
            "contact.email": other.address,
            "contact.name": other.name or None,
        }
        # The API takes one recipient. The others stay readable beside those of cc.
        near = other.folded
        if is_sent and any(person.folded != near for person in others):
            how.warn(SEVERAL)
        to = sorted(to, key=lambda one: one.folded != near if is_sent else one not in how.mine)
    values["emailTo"] = to[0].address if to else None
    values["emailCc"] = [person.address for person in (*to[1:], *cc)] or None
    return values


def _content_values(mail: Message, files: Attachments, warn: Warn) -> Values:
    content = MailContent(warn)
    content.add(mail)
    if any(isinstance(defect, CloseBoundaryNotFoundDefect) for defect in mail.defects):
        warn(OPEN_END)
    kept = files.keep(content.files, "Email", warn)
    texts = {"message": content.text("text/plain"), "html": content.text("text/html")}
    return {**texts, "attachments": kept or None}
