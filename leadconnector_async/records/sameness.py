"""What a record says, apart from what the options of its reading add to it.

Records of one id that say the same are one record. A provider's id comes from an option, and
``altId`` is a stamp.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

import orjson

from leadconnector_async.models import Problem
from leadconnector_async.records.deferred import Deferred, read_deferred

_OF_OPTIONS: Final = re.compile(rb',"(?:conversationProviderId|altId)":"(?:[^"\\]|\\.)*"')
"""Quotes within a text are escaped, so that this finds whole fields alone."""

_OF_CALLS: Final = re.compile(rb',"message":"(?:[^"\\]|\\.)*"')
"""The text of a call is made of notes, which are an option too."""

_TEXTS: Final = ("subject", "message", "html")

_NOTHING: Final = Deferred()

_KEPT: Final = (
    *("type", "direction", "date"),
    *("contactId", "conversationId", "conversationProviderId"),
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
        texts = (" ".join(body.get(name, "").split()) for name in _TEXTS)
        files = sorted(files or body.get("attachments", []))
        said = orjson.dumps((body.get("emailFrom", "").lower(), *texts, *files))
    else:
        said = _OF_OPTIONS.sub(b"", payload)
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
