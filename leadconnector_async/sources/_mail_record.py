"""From the bytes of a mail to named values, as a record of JSON would give them."""

from __future__ import annotations

import re
from email.parser import BytesFeedParser
from email.policy import compat32
from typing import TYPE_CHECKING, Final, NamedTuple

from leadconnector_async._errors import SourceError
from leadconnector_async._messages import Problem
from leadconnector_async.sources._mail_head import Head, Person
from leadconnector_async.sources._mail_parts import content_of
from leadconnector_async.sources._values import Wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from email.message import Message

    from leadconnector_async.sources._attachments import Attachments

    Values = dict[str, object]

_CHUNK: Final = 1 << 16
"""Bytes fed to the parser at once: given a whole mail, it would hold four copies of it."""
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_EXPUNGED: Final = 0x0008
"""Bit of ``X-Mozilla-Status``: deleted, but still in the file until it is compacted."""
_FIX_SIDE: Final = "give contact.email and direction in the list of failed records"
_BROKEN: Final = Problem(
    "mail", "has a structure that cannot be read", "open and save it in a mail program, or skip it"
)


class Deleted(Exception):  # noqa: N818 - an ending, not an error
    """The mail is in the file, but its owner has deleted it."""


class Sides(NamedTuple):
    """Who wrote to whom, seen from the owner of the mailbox."""

    direction: str
    other: Person
    to: list[Person]


class Mine:
    """The owner's addresses.

    Raises:
        SourceError: there are none, or one is no address.
    """

    def __init__(self, source: str, addresses: Sequence[str]) -> None:
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

    def sides(self, head: Head) -> Sides | Wrong:
        """Tell the other side of a mail."""
        sender = next(iter(head.people("from") or head.people("sender")), None)
        to = head.people("to")
        if sender is None:
            return Wrong("cannot be told: the mail names no sender", _FIX_SIDE)
        if sender not in self:
            return Sides("inbound", sender, to)
        everybody = [*to, *head.people("cc"), *head.people("bcc")]
        other = next((person for person in everybody if person not in self), None)
        if other is None:
            whom = "all its recipients are yours" if everybody else "the mail names no recipient"
            return Wrong(f"cannot be told: {whom}", _FIX_SIDE)
        return Sides("outbound", other, to)


def read_mail(
    raw: bytes,
    mine: Mine,
    files: Attachments,
    warn: Callable[[str], None],
    *,
    head_only: bool = False,
) -> tuple[Values, Problem | None]:
    """Name the values of a mail. A problem is of the mail as a whole.

    Raises:
        Deleted: the mail is not there any more for its owner.
        SourceError: an attachment cannot be kept.
    """
    values: Values = {"type": "Email"}
    try:
        mail = _parsed(_HEAD_END.split(raw, 1)[0] if head_only else raw)
        values |= _head_values(Head(mail), mine)
        if not head_only:
            values |= _content_values(mail, files, warn)
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError, RecursionError):
        # The parser raises any of these on mails that were made to break it.
        return values, _BROKEN
    return values, None


def _parsed(raw: bytes) -> Message:
    parser = BytesFeedParser(policy=compat32)
    for start in range(0, len(raw), _CHUNK):
        parser.feed(raw[start : start + _CHUNK])
    return parser.close()


def _head_values(head: Head, mine: Mine) -> Values:
    if _is_expunged(head):
        raise Deleted
    date = head.date()
    return {
        "id": head.id,
        "altId": head.id,
        "date": date if isinstance(date, Wrong) else date.isoformat(),
        "subject": head.text("subject") or None,
        "inReplyTo": head.ancestors or None,
        **_side_values(head, mine),
    }


def _side_values(head: Head, mine: Mine) -> Values:
    sides = mine.sides(head)
    cc = [person.address for person in head.people("cc")]
    sender = next(iter(head.people("from") or head.people("sender")), None)
    values: Values = {
        "emailFrom": sender.address if sender else None,
        "emailBcc": [person.address for person in head.people("bcc")] or None,
    }
    if isinstance(sides, Wrong):
        to = head.people("to")
        values |= {"contact.email": sides}
    else:
        to = sides.to
        values |= {
            "direction": sides.direction,
            "contact.email": sides.other.address,
            "contact.name": sides.other.name or None,
        }
        # The API takes one recipient. The others stay readable beside those of cc.
        near = sides.other.folded if sides.direction == "outbound" else None
        to = sorted(to, key=lambda person: person.folded != near if near else person not in mine)
    values["emailTo"] = to[0].address if to else None
    values["emailCc"] = [*(person.address for person in to[1:]), *cc] or None
    return values


def _content_values(mail: Message, files: Attachments, warn: Callable[[str], None]) -> Values:
    content = content_of(mail, warn)
    kept = files.keep(content.files, "Email", warn)
    return {"message": content.message, "html": content.html, "attachments": kept or None}


def _is_expunged(head: Head) -> bool:
    try:
        return bool(int(head.first("x-mozilla-status"), 16) & _EXPUNGED)
    except ValueError:
        return False
