"""The key that names a record: the caller's id, or else a digest of what makes it the same one.

That is its location, who it is with, its type, direction, date and content. A refused record that
has no id is known by its line.
"""

import re
from binascii import hexlify
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from os import urandom
from typing import Final

import orjson

from leadconnector_async.models import MessageFields
from leadconnector_async.records.deferred import Deferred
from leadconnector_async.sources.base import SOURCE_LINE
from leadconnector_async.sources.fields import NotedText

_SAID: Final = re.compile(rb'(?:, )?"%b": "([0-9a-f]{30})"}$' % SOURCE_LINE.encode())

BY_LINE: Final = b"r"
"""What the key of a refused record begins with that has no id."""

MAX_ID: Final = 120
"""Bytes of a caller's id that are kept as they are; a longer one is kept as its digest."""

_BY_ID, _BY_LONG_ID, _BY_CONTENT, _BY_FAULT = b"i", b"l", b"c", b"f"

_FOREIGN_KEYS: Final = {b"l": 21, b"c": 19, b"r": 16, b"m": 17, b"f": 17}
"""Lengths of the keys that are no ids; two bytes more where equal records are numbered."""

_OURS: Final = "lc-"
"""What the text of a key begins with that is no id."""

_OURS_BYTES: Final = _OURS.encode()

_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def line_key(raw: bytes) -> bytes:
    """The key of a record that is known by its line alone."""
    if said := _SAID.search(raw):
        return BY_LINE + bytes.fromhex(said[1].decode())
    return BY_LINE + blake2b(raw, digest_size=15).digest()


def former_line(raw: bytes) -> bytes:
    """The line as it was, and had its key, before it told what its source says."""
    return _SAID.sub(b"}", raw)


def key_text(key: bytes) -> str:
    """A key as people see it, and as it is stamped into ``altId``: the caller's id as it was."""
    return key[1:].decode() if key[:1] == _BY_ID else _OURS + key.hex()


def key_from_text(text: str) -> bytes:
    """The inverse of `key_text`."""
    if text.startswith(_OURS):
        with suppress(ValueError):
            key = bytes.fromhex(text[len(_OURS) :])
            if len(key) - _FOREIGN_KEYS.get(key[:1], -9) in (0, 2):
                return key
    return id_key(text)


def stamped(payload: bytes, key: bytes) -> bytes:
    """The body with the record's key as ``altId``, unless it has an ``altId`` of its own.

    A quote inside a JSON text is escaped, so the bytes of the field's name occur only as a name.
    """
    if payload.find(b'"altId":"') >= 0:  # `in` would first try it as a number
        return payload
    if key[:1] == _BY_ID:
        return b'%b,"altId":%b}' % (payload[:-1], orjson.dumps(key_text(key)))
    return b"".join((payload[:-1], b',"altId":"', _OURS_BYTES, hexlify(key), b'"}'))


def fault_key(source: str, raw: bytes = b"") -> bytes:
    """The key of what is wrong with a file as a whole. Those of a file begin alike."""
    name = blake2b(source.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return _BY_FAULT + name + (blake2b(raw, digest_size=8).digest() if raw else b"")


def id_key(id_: str | None) -> bytes:
    """Keep an id as it is, unless it is too long, is no text, or reads like one of our keys."""
    if not id_:
        return b""
    is_ascii = id_.isascii()
    encoded = id_.encode() if is_ascii else id_.encode("utf-8", "surrogatepass")
    is_ours = id_[0] == "l" and id_.startswith(_OURS)  # one character costs less
    if len(encoded) <= MAX_ID and not is_ours and (is_ascii or not _SURROGATE.search(id_)):
        return _BY_ID + encoded
    return _BY_LONG_ID + blake2b(encoded, digest_size=20).digest()


def content_key(
    location: str,
    message: MessageFields,
    deferred: Deferred | None = None,
    kind: str | None = None,
    noted: NotedText | None = None,
) -> bytes:
    """A digest that begins with the date: a history in order lands in the index in order.

    Files are told apart by what they hold, so that they can lie elsewhere when they are read again.
    Ends of lines are no content: spreadsheets and transfers write others.
    """
    date = 0 if message.date is None else milliseconds(message.date)
    call = message.call
    canonical = orjson.dumps(
        (
            location,
            message.contact_id or message.conversation_id or (deferred and deferred.who) or None,
            kind or message.type,
            message.direction,
            message.message if noted is None else noted.own,
            message.subject,
            message.html,
            message.email_from,
            message.email_to,
            message.email_cc,
            message.email_bcc,
            message.alt_id,
            message.attachments if deferred is None else deferred.contents or message.attachments,
            None if call is None else (call.to, call.from_, call.status),
        )
    )
    digest = blake2b(canonical.replace(rb"\r\n", rb"\n"), digest_size=12).digest()
    return _BY_CONTENT + (date & 0xFFFFFFFFFFFF).to_bytes(6, "big") + digest


def fresh_key(now_ms: int) -> bytes:
    """A key for a message that nothing tells from an equal one: each is a record of its own."""
    return _BY_CONTENT + (now_ms & 0xFFFFFFFFFFFF).to_bytes(6, "big") + urandom(12)


def milliseconds(date: datetime) -> int:
    """Milliseconds of the Unix epoch."""
    delta = date - _EPOCH
    whole = delta.days * 86_400_000 + delta.seconds * 1000
    return whole + delta.microseconds // 1000 if delta.microseconds else whole
