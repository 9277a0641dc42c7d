"""The ids that records name which are still to be sent."""

from __future__ import annotations

from contextlib import closing
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from leadconnector_async.outbox.sqlite.connection import open_to_read

_NAMED: Final = """SELECT name, payload FROM queue JOIN record USING (seq)
    JOIN location ON location.id = record.location"""


class _NamedIds(Struct, rename="camel", gc=False):
    contact_id: str | None = None
    conversation_id: str | None = None
    conversation_provider_id: str | None = None


class Named(NamedTuple):
    """The ids of each kind, once each."""

    contacts: set[str]
    conversations: set[str]
    providers: set[str]
    locations: set[str]


def ids_named(path: str) -> Named:
    """Collect them.

    Raises:
        OutboxError: the file cannot be read.
    """
    found = Named(set(), set(), set(), set())
    decode = msgspec.json.Decoder(_NamedIds).decode
    with closing(open_to_read(path)) as connection:
        for location, payload in connection.execute(_NAMED):
            ids = decode(payload)
            found.contacts.add(ids.contact_id or "")
            found.conversations.add(ids.conversation_id or "")
            found.providers.add(ids.conversation_provider_id or "")
            found.locations.add(location)
    return found
