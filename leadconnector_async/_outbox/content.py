"""What a record says, apart from what the options of its reading add to it.

Records of one id that say the same are one record. A provider's id comes from an option, and
``altId`` is a stamp.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

import orjson

from leadconnector_async._api.late import Late, read_late

_OF_OPTIONS: Final = re.compile(rb',"(?:conversationProviderId|altId)":"(?:[^"\\]|\\.)*"')
"""Quotes within a text are escaped, so that this finds whole fields alone."""
_TEXTS: Final = ("subject", "message", "html")
_NOTHING: Final = Late()


def content_digest(payload: bytes, late: str | None, *, mail: bool = False) -> bytes:
    """Digest what a record says.

    The copies of a ``mail`` in several folders differ in what was read of their heads: it says
    who wrote what, and which files go with it.
    """
    lacks = read_late(late) if late else _NOTHING
    files = [item if isinstance(item, str) else item.digest for item in lacks.attachments]
    if mail:
        body = orjson.loads(payload)
        texts = (" ".join(body.get(name, "").split()) for name in _TEXTS)
        files = sorted(files or body.get("attachments", []))
        said = orjson.dumps((body.get("emailFrom", "").lower(), *texts, *files))
    else:
        who = "" if lacks.contact is None else lacks.contact.key
        said = _OF_OPTIONS.sub(b"", payload) + "\0".join((who, *files)).encode()
    return blake2b(said, digest_size=16).digest()


def reused_digest(own: bytes, payload: bytes, late: str | None) -> bytes:
    """Digest what a record says together with the key of its id."""
    return blake2b(own + b"\0" + content_digest(payload, late), digest_size=16).digest()
