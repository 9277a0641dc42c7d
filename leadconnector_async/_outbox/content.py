"""What a record says, apart from what the options of its reading add to it.

Records of one id that say the same are one record. A provider's id comes from an option, and
``altId`` is a stamp.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import orjson

from leadconnector_async._api.late import Late, read_late

if TYPE_CHECKING:
    from collections.abc import Iterable

_OF_OPTIONS: Final = frozenset({"conversationProviderId", "altId", "attachments"})
_TEXTS: Final = ("subject", "message", "html")
_NOTHING: Final = Late()


def content_digest(payload: bytes, late: str | None, *, mail: bool = False) -> bytes:
    """Digest what a record says.

    The copies of a ``mail`` in several folders differ in what was read of their heads: it says
    who wrote what, and which files go with it.
    """
    body = orjson.loads(payload)
    lacks = read_late(late) if late else _NOTHING
    files = [item if isinstance(item, str) else item.digest for item in lacks.attachments]
    files = files or body.get("attachments") or []
    said: Iterable[Any]
    if mail:
        texts = (" ".join(body.get(name, "").split()) for name in _TEXTS)
        said = (body.get("emailFrom", "").lower(), *texts, sorted(files))
    else:
        who = lacks.contact.key if lacks.contact is not None else None
        fields = sorted((name, value) for name, value in body.items() if name not in _OF_OPTIONS)
        said = (who, fields, files)
    return blake2b(orjson.dumps(list(said)), digest_size=16).digest()


def reused_digest(own: bytes, payload: bytes, late: str | None) -> bytes:
    """Digest what a record says together with the key of its id."""
    return blake2b(own + b"\0" + content_digest(payload, late), digest_size=16).digest()
