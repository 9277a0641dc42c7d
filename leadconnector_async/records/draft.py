"""From a message to what the outbox keeps: its encoded body, its lane, and the key that names it.

A refused record whose provider is mended keeps its key.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from leadconnector_async.models import CHOICES, Call, InboundMessage, MessageFields, Problem
from leadconnector_async.records.deferred import Deferred
from leadconnector_async.records.keys import content_key, id_key, line_key, milliseconds
from leadconnector_async.records.validation import HALF, as_builtin, validate
from leadconnector_async.sources.fields import NotedText


class TraceContext(NamedTuple):
    """Of which trace something is a part: the two headers of W3C Trace Context."""

    parent: str
    state: str | None = None


def traced(parent: str | None, state: str | None) -> TraceContext | None:
    """The context that a store keeps, if it does."""
    return None if parent is None else TraceContext(parent, state)


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A record on its way into the outbox."""

    location: str
    lane: int
    """Signed 64 bits that tell contacts (or conversations) of a location apart."""
    date: int
    """When the message happened, in milliseconds of the Unix epoch: the order within the lane."""
    key: bytes
    counted: bool
    """The key is a digest of the content: equal records of one reading are told apart by number."""
    payload: bytes | None
    """The encoded body; None where validation refused the record, or it is left out."""
    line: int
    """Where the record starts in its source, counted from 1; 0 for no source."""
    raw: bytes | None
    """The record in the source's own form, kept for the list of failed ones."""
    problem: str | None
    """Why validation refused the record."""
    deferred: str | None = None
    """What the body lacks until it is sent, as `Deferred.encoded` writes it."""
    left_out: str | None = None
    """Why the record is not to be sent, though nothing is wrong with it."""
    own: bytes | None = None
    """Of a record that a list of failed ones names by its key: the key that its id would give
    it, empty where it has none."""
    mail: bool = False
    """The key is a Message-ID. Those of several mails can be equal."""
    traits: int = 0
    """A `Trait` of the deferred parts."""
    trace: TraceContext | None = None
    """That of whoever submitted the record."""

    def __repr__(self) -> str:
        return f"Draft(location={self.location!r}, line={self.line}, problem={self.problem!r})"


encode: Final = msgspec.json.Encoder(enc_hook=as_builtin).encode
"""Encode the body of a message as `normalised` gives it."""

_decode: Final = msgspec.json.Decoder(InboundMessage).decode


def draft(  # noqa: PLR0913 - one argument for each thing that a source knows of a record
    message: MessageFields,
    *,
    location: str,
    id: str | None = None,  # noqa: A002 - the field's name in every source
    now_ms: int,
    line: int = 0,
    raw: bytes | None = None,
    key: bytes | None = None,
    deferred: Deferred | None = None,
    kind: str | None = None,
    noted: NotedText | None = None,
    payload: bytes | None = None,
) -> Draft:
    """Encode a well-typed message that `validate` has passed, unless it is: as ``payload``.

    ``now_ms`` places a record without a date in its lane: after what happened before now. ``kind``
    is its type in the source, where it is sent as another one. Of a text that is ``noted`` the
    notes are no part of the key.
    """
    date = now_ms if message.date is None else milliseconds(message.date)
    lane = _lane(location, message, deferred)
    counted = key is None and not id
    own = None if key is None else id_key(id)
    if key is None:
        key = id_key(id) if id else content_key(location, message, deferred, kind, noted)
    is_mail = own is None and id is not None and deferred is not None and deferred.mail == id
    said, traits = (deferred.encoded(), int(deferred.traits)) if deferred else (None, 0)
    sound = location, lane, date, key, counted, payload or encode(message), line, raw, None
    return Draft(*sound, said, None, own, is_mail, traits)


def unsent_draft(  # noqa: PLR0913 - as for draft
    problems: Sequence[Problem],
    *,
    location: str,
    id: str | None,  # noqa: A002 - the field's name in every source
    line: int,
    raw: bytes,
    key: bytes | None = None,
    left_out: str | None = None,
) -> Draft:
    """Keep a record that validation refused, so that it can be given back and mended.

    Or count one that is ``left_out``, so that reading it again knows it.
    """
    why = "; ".join(map(str, problems)) if left_out is None else None
    counted = key is None and not id
    own = None if key is None else id_key(id)
    if key is None:
        key = id_key(id) if id else line_key(raw)
    return Draft(*(location, 0, 0, key, counted, None, line, raw, why), left_out=left_out, own=own)


def verified(
    message: InboundMessage, *, named: bool = False
) -> tuple[InboundMessage, tuple[Problem, ...], bytes]:
    """Check a message that a program made, whose fields may be of any type; and encode it.

    ``named``: see `validate`. Of what cannot be encoded, the body is ``{}``.
    """
    body = b"{}"
    try:
        body = encode(message)
        plain = _decode(body)
        is_plain = plain == message
        if not is_plain and (problems := tuple(_disguised(message))):
            return message, problems, body
        message = normalised(plain)
        if message is not plain or not is_plain:
            body = encode(message)
    except OverflowError:
        fix = "give a date between the years 2 and 9998"
        return message, (Problem("date", "is outside the calendar in UTC", fix),), body
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        return message, tuple(_disguised(message)) or (_type_problem(error),), body
    return message, validate(message, named=named), body


def _disguised(message: object) -> Iterator[Problem]:
    """What JSON has no form for, or another one's: bytes as Base64, a NaN as nothing."""
    if not isinstance(message, MessageFields):
        fix = "give an InboundMessage, or to an Ingestor a Record that holds one"
        yield Problem("record", "has a wrong type", fix)
        return
    for field in msgspec.structs.fields(message):
        value = getattr(message, field.name)
        if isinstance(value, Call):
            value = msgspec.structs.astuple(value)
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, bytes | bytearray | memoryview):
                yield Problem(field.encode_name, "has a wrong type", "decode its bytes to text")
                break
            if isinstance(one, float) and field.name == "date":
                yield Problem("date", "has a wrong type", "give an aware datetime")
        try:
            encode(value)
        except UnicodeEncodeError:
            yield Problem(field.encode_name, *HALF)
        except (TypeError, ValueError):
            fix = "give an aware datetime" if field.name == "date" else "see the type of the field"
            yield Problem(field.encode_name, "cannot be encoded", fix)


def _type_problem(error: Exception) -> Problem:
    what, _, field = str(error).rstrip("`").partition(" - at `$.")
    if field in CHOICES:
        return Problem(field, "has an unknown value", f"use one of {', '.join(CHOICES[field])}")
    if what.startswith("Expected") and field != "date":
        return Problem(field, "has a wrong type", what[0].lower() + what[1:])
    return Problem(field, "has a wrong type", "give an aware datetime")


def normalised(message: InboundMessage) -> InboundMessage:
    """The same message with its date in UTC and without empty lists.

    The API answers 422 to ``attachments: []``. Raises OverflowError where UTC has no such date.
    """
    changes: dict[str, object] = {}
    if [] in _lists_of(message):
        changes = {name: None for name in _LISTS if getattr(message, name) == []}
    date = message.date
    if isinstance(date, datetime) and date.tzinfo is not None and date.tzinfo is not UTC:
        changes["date"] = date.astimezone(UTC)
    return msgspec.structs.replace(message, **changes) if changes else message


_LISTS: Final = ("attachments", "email_cc", "email_bcc")

_lists_of: Final = attrgetter(*_LISTS)


def _lane(location: str, message: MessageFields, deferred: Deferred | None) -> int:
    who = message.contact_id or message.conversation_id
    if not who and deferred is not None and deferred.contact is not None:
        who = deferred.contact.key
    return lane_of(location, who)


@lru_cache(maxsize=4096)
def lane_of(location: str, who: str | None) -> int:
    """Where two contacts share a lane by chance, they only wait for each other."""
    digest = blake2b(f"{location}\0{who}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
