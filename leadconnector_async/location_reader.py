"""Reading a location through the API: the pages of its export, its mails and its contacts.

By the OpenAPI files the export gives messages of all channels but ``Email``, which has to be asked
for beside; of a mail it gives neither text nor addresses, but the ids of all mails of its thread,
each of which has an endpoint; and of a contact its id alone.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import orjson
from msgspec.structs import replace

from leadconnector_async.api.contacts import get_contact, person_of
from leadconnector_async.api.endpoints import get_email
from leadconnector_async.api.listings import entries_of, mail_columns, mail_ids, read_object
from leadconnector_async.client import LeadConnector
from leadconnector_async.errors import RefusedError, SourceError
from leadconnector_async.requester import exported
from leadconnector_async.sources.batch_reader import SourceReader
from leadconnector_async.sources.location_copy import LocationCopy
from leadconnector_async.transport.base import Request

_AT_ONCE: Final = 16
"""Requests for single mails and contacts in flight: the quota paces them."""


class LocationReader:
    """Reads the locations that are sources into copies in a folder.

    ``target`` is the location that the records go to, which cannot be read into itself.
    """

    def __init__(self, api: LeadConnector, folder: Path, target: str | None) -> None:
        self._api = api
        self._folder = folder
        self._target = target
        self.reading: str | None = None
        """The location that is being read."""

    async def read(self, reader: SourceReader) -> None:
        """Read every location among the sources of a reader, until that is stopped.

        Raises:
            SourceError: a location is none that can be read, or no copy of it can be kept.
            AccessError: the token does not open it.
            TransportError: the API is out of reach. What was read is kept.
        """
        for location in reader.locations:
            if location == self._target:
                wrong = f"leadconnector:{location}: is the location that the records go to"
                raise SourceError(f"{wrong}: name the one that they come from")
            with LocationCopy(self._folder, location) as copy:
                self.reading = location
                try:
                    pass_ = _ReadingPass(self._api, location, copy, lambda: reader.interrupted)
                    await pass_.run()
                except RefusedError as error:  # of the location as a whole
                    words = f"{copy.name} cannot be read: {error.refusal.message}"
                    raise type(error)(replace(error.refusal, message=words)) from None
                finally:
                    self.reading = None
                lost = pass_.lost.items()
                reader.warnings += [f"{copy.name}: {n:,} {what}" for what, n in lost if n]


@dataclass(slots=True, eq=False, repr=False)
class _ReadingPass:
    """One reading of a location from the first page to the last."""

    api: LeadConnector
    location: str
    copy: LocationCopy
    stopped: Callable[[], bool]
    lost: Counter[str] = field(default_factory=Counter)
    """What the API did not give, counted."""
    failed: set[tuple[str, str]] = field(default_factory=set)

    async def run(self) -> None:
        async for page, body in exported(self.api, self.location):
            self.lost["entries of its export cannot be read, or not in full"] += len(page.problems)
            await self._take(entries_of(body))
            self.copy.commit()
            if self.stopped():
                return

    async def _take(self, entries: list[dict[str, Any]]) -> None:
        """Keep the messages of a page, and what has to be asked for beside."""
        mails: dict[str, dict[str, Any]] = {}
        for entry in entries:
            if ids := mail_ids(entry):
                mails |= dict.fromkeys(ids, entry)
            else:
                self.copy.put_message(_id_of(entry), entry)
        contacts = {str(entry["contactId"]) for entry in entries if entry.get("contactId")}
        new = self.copy.lacks("message", mails)
        await self._each("message", new, lambda id_: self._mail(id_, mails[id_]))
        new = self.copy.lacks("contact", sorted(contacts))
        await self._each("contact", new, self._contact)

    async def _each(
        self, kind: str, ids: Iterable[str], get: Callable[[str], Awaitable[None]]
    ) -> None:
        """Ask for single things, several at a time, and for each once."""
        waiting = iter([id_ for id_ in ids if (kind, id_) not in self.failed])

        async def work() -> None:
            for id_ in waiting:
                if self.stopped():
                    return
                await get(id_)

        tasks = [asyncio.ensure_future(work()) for _ in range(_AT_ONCE)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _mail(self, id_: str, entry: dict[str, Any]) -> None:
        found = await self._found(get_email(id_))
        if found is None:
            self.failed.add(("message", id_))
            self.lost["mails whose text the API does not give"] += 1
        several = len(mail_ids(entry) or ()) > 1  # of a thread: the entry is not all of them
        kept = {name: entry.get(name) for name in ("messageType", "contactId", "conversationId")}
        mail = (kept if several else entry) | mail_columns({**(found or {}), "id": id_})
        self.copy.put_message(id_, mail, whole=found is not None)

    async def _contact(self, id_: str) -> None:
        found = await self._found(get_contact(id_))
        person = None if found is None else person_of(found)
        if person is None:
            self.failed.add(("contact", id_))
            self.lost["contacts without a number or an address that the API gives"] += 1
        self.copy.put_contact(id_, person)

    async def _found(self, request: Request) -> dict[str, Any] | None:
        """What an answer holds; None where the API has no such thing."""
        try:
            return await self.api.ask(self.location, request, read_object)
        except RefusedError as error:
            if type(error) is not RefusedError:
                raise
            return None


def _id_of(entry: dict[str, Any]) -> str:
    """What a message is kept under: without an id, its content."""
    own = entry.get("id")
    return str(own) if own else "?" + blake2b(orjson.dumps(entry), digest_size=16).hexdigest()
