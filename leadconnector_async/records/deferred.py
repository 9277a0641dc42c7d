"""What a message lacks until it is sent: beside its body, and known only from the API's answers.

Of files that attachments name, what they hold is known, so that each content is uploaded once.
When all is staged, mails are put behind those that they answer, whatever their dates say.

And what a record says, apart from what the options of its reading add to it: records of one id that
say the same are one record. A provider's id comes from an option, and ``altId`` is a stamp.
"""

import errno
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import IntFlag
from functools import lru_cache
from hashlib import blake2b, file_digest
from itertools import groupby
from pathlib import Path
from stat import S_ISREG
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec
import orjson

from leadconnector_async.models import Contact, MessageFields, Problem
from leadconnector_async.sources.files.spool import SpooledUrl

StagedMail = tuple[int, int, int, int, str]
"""Location, lane, date, seq and deferred parts of a mail."""


class Trait(IntFlag):
    """What matters of a message's deferred parts before it is published. The numbers are stored."""

    MAIL = 1
    """It has an id of its own as a mail, by which others answer it."""
    TWO_NAMES = 2
    """It names its contact by number and address both."""


class LocalFile(msgspec.Struct, frozen=True):
    """A file of this machine that is to be uploaded: where it lies, and what it held when read."""

    path: str
    digest: str

    def __repr__(self) -> str:
        return f"LocalFile({self.digest!r})"


class Deferred(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The deferred parts of one message.

    ``contact`` says who it is with, where no id does; ``said`` is what the record itself says of
    that, where a directory of people gave the contact: what is known of people may change, and the
    record stays the same. ``attachments`` are all of them, in order,
    where one or more have to be uploaded. ``mail`` is the message's own id as a mail, ``answers``
    are those of the earlier mails of its thread, nearest first. ``outbound_call``: it goes to the
    endpoint for calls that were made elsewhere.
    """

    contact: Contact | None = None
    said: str | None = None
    attachments: list[str | LocalFile] = []
    mail: str | None = None
    answers: list[str] = []
    outbound_call: bool = False

    @property
    def who(self) -> str | None:
        """Whom the record says that it is with."""
        return self.said or (None if self.contact is None else self.contact.key)

    @property
    def files(self) -> list[LocalFile]:
        """What has to be uploaded."""
        return [item for item in self.attachments if isinstance(item, LocalFile)]

    @property
    def contents(self) -> list[str]:
        """What tells its attachments from others: their URLs, or digests of what they hold."""
        return [item if isinstance(item, str) else item.digest for item in self.attachments]

    @property
    def traits(self) -> Trait:
        """See `Trait`."""
        contact = self.contact
        has_two_names = contact is not None and bool(contact.phone and contact.email)
        traits = Trait.TWO_NAMES if has_two_names else Trait(0)
        return traits if self.mail is None else traits | Trait.MAIL

    def encoded(self) -> str:
        """Write it as JSON, as the outbox keeps it."""
        return _encode(self).decode()

    def __bool__(self) -> bool:
        return self != _NOTHING


def is_outbound_call(message: MessageFields) -> bool:
    """Tell a call that goes to the endpoint for calls that were made elsewhere."""
    return message.type == "Call" and message.direction == "outbound"


def with_contact(body: bytes, contact: Contact | None) -> bytes:
    """Put a contact into an encoded message, as sources name it."""
    if contact is None:
        return body
    try:
        return orjson.dumps(orjson.loads(body) | {"contact": msgspec.to_builtins(contact)})
    except (orjson.JSONEncodeError, TypeError):  # of a type that cannot be written down
        return body


_NOTHING: Final = Deferred()

_encode: Final = msgspec.json.Encoder().encode

read_deferred: Final = msgspec.json.Decoder(Deferred).decode
"""Read what `Deferred.encoded` wrote."""


def answers_last(mails: Iterable[StagedMail]) -> Iterator[tuple[int, int]]:
    """Yield the new date and the number of each mail that stands before one that it answers.

    ``mails`` come by location, lane, date and number.
    """
    for _, lane in groupby(mails, key=lambda row: row[:2]):
        befores, numbers, texts = zip(*(row[2:] for row in lane), strict=True)
        parts = [*map(read_deferred, texts)]
        places = {part.mail: place for place, part in enumerate(parts) if part.mail}
        answered = [[places[name] for name in part.answers if name in places] for part in parts]
        dates = [*befores]
        for place in _answered_first(answered):
            dates[place] = max([dates[place], *(dates[other] + 1 for other in answered[place])])
        moved = zip(dates, numbers, befores, strict=True)
        yield from ((after, number) for after, number, before in moved if after != before)


def _answered_first(answered: list[list[int]]) -> Iterator[int]:
    """Yield each place once, after those that it answers, and drop what would close a circle.

    One pass, whatever the order: a mailbox is not trusted to be a tree, nor to be a shallow one.
    """
    state = [_UNSEEN] * len(answered)
    for root in range(len(answered)):
        path = [root]
        while path:
            place = path[-1]
            if state[place] == _UNSEEN:
                state[place] = _OPEN
                answered[place] = [other for other in answered[place] if state[other] != _OPEN]
                path += answered[place]
                continue
            path.pop()
            if state[place] == _OPEN:
                state[place] = _DONE
                yield place


_UNSEEN, _OPEN, _DONE = range(3)


def current_digest(path: str) -> str:
    """Digest of what a file holds now.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    status = Path(path).stat()
    if not S_ISREG(status.st_mode):  # a pipe would be waited for without an end
        raise OSError(errno.EINVAL, "is no regular file")
    return _digest(path, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)


@lru_cache(maxsize=4096)  # the picture of a signature is in each mail
def _digest(path: str, *_state: int) -> str:
    with Path(path).open("rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()


_LOCAL: Final = "file://"


class FileLostError(Exception):
    """A file that was there when its record was read is not there any more."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def are_local(attachments: Sequence[str] | None) -> bool:
    """Tell whether any of them has to be uploaded."""
    return attachments is not None and any(item.startswith(_LOCAL) for item in attachments)


def located(attachments: Sequence[str]) -> list[str | LocalFile]:
    """Replace ``file://`` URLs by the files, with digests of what they hold.

    Raises:
        FileLostError: one cannot be read.
    """
    return [
        _file(number, item) if item.startswith(_LOCAL) else item
        for number, item in enumerate(attachments, 1)
    ]


def _file(number: int, url: str) -> LocalFile:
    try:
        path = url2pathname(urlsplit(url).path)
        if isinstance(url, SpooledUrl):  # in a rehearsal it is nowhere
            return LocalFile(path, url.digest)
        return LocalFile(path, current_digest(path))
    except (OSError, ValueError) as error:  # no file has a name with a NUL character
        why = error.strerror if isinstance(error, OSError) else "no file has such a name"
        wrong = f"item {number} cannot be read ({why})"
        fix = "put the file back, or take it out of the list"
        raise FileLostError(Problem("attachments", wrong, fix)) from None


_OF_OPTIONS: Final = re.compile(rb',"(?:conversationProviderId|altId)":"(?:[^"\\]|\\.)*"')
"""Quotes within a text are escaped, so that this finds whole fields alone."""

_OF_CALLS: Final = re.compile(rb',"message":"(?:[^"\\]|\\.)*"')
"""The text of a call is made of notes, which are an option too."""

_KEPT: Final = (
    *("type", "direction", "date", "contactId", "conversationId", "conversationProviderId"),
)

_FORGOTTEN: Final = re.compile(rb'"forgotten":"([0-9a-f]{32})([0-9a-f]{32})"}$')

_SHORT_NUMBERS: Final = 0xFFFF

BY_MAIL: Final = b"m"
"""What the key of a mail begins with whose Message-ID is that of another one."""


def content_digest(payload: bytes, deferred: str | None, *, mail: bool = False) -> bytes:
    """Digest what a record says.

    The copies of a ``mail`` in several folders differ in what was read of their heads: it says
    who wrote what, and which files go with it.
    """
    if known := _FORGOTTEN.search(payload):
        return bytes.fromhex(known[2 if mail else 1].decode())
    lacks = read_deferred(deferred) if deferred else _NOTHING
    files = lacks.contents
    if mail:
        body = orjson.loads(payload)
        texts = (" ".join(body.get(name, "").split()) for name in ("subject", "message", "html"))
        files = sorted(files or body.get("attachments", []))
        said = orjson.dumps((body.get("emailFrom", "").lower(), *texts, *files))
    else:
        said = _OF_OPTIONS.sub(b"", payload).replace(rb"\r\n", rb"\n")
        if said.startswith(b'{"type":"Call"'):
            said = _OF_CALLS.sub(b"", said)
        said += "\0".join((lacks.who or "", *files)).encode()
    return blake2b(said, digest_size=16).digest()


def forgotten(payload: bytes, deferred: str | None) -> bytes:
    """A body that says no more what was written, and still is told from all others by it."""
    if _FORGOTTEN.search(payload):
        return payload
    body = orjson.loads(payload)
    digests = (content_digest(payload, deferred, mail=mail).hex() for mail in (False, True))
    kept = {name: body[name] for name in _KEPT if name in body}
    return orjson.dumps(kept | {"forgotten": "".join(digests)})


def reused_key(key: bytes, content: bytes) -> bytes:
    """Digest a key that several records share, with what one of them says."""
    return blake2b(key + b"\0" + content, digest_size=16).digest()


def numbered(key: bytes, number: int) -> bytes:
    """The key of one among equal records: the first has the key itself."""
    if number == 1:
        return key
    return key + number.to_bytes(2 if number <= _SHORT_NUMBERS else 4, "big")


def reused_id(place: str, *, listed: bool = False) -> Problem:
    """Name what is wrong with a record whose id is that of the one at ``place``."""
    name = place.replace('"', "'")
    quoted = f' ("{name}")' if place else ""
    field, fix = "id", "give each record an id of its own"
    if listed:
        field, fix = "outboxKey", "take the key out of all but one"
    return Problem(field, f"is that of another record{quoted} with other content", fix)
