"""What is left to do for the records of an outbox: which requests they take before they are sent.

Names of lookups: see `leadconnector_async.api.enrichment`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING

from leadconnector_async.api import enrichment
from leadconnector_async.models import Contact
from leadconnector_async.outbox.reader import NamedIds, QueuedRecord, Workload
from leadconnector_async.records.deferred import Deferred, read_deferred

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from leadconnector_async.outbox.outbox_reader import OutboxReader

    Incomplete = tuple[enrichment.MessageIds, Deferred]
    """The ids that a record has, and what it lacks."""

    Find = Callable[[Sequence[str]], Awaitable[dict[str, str]]]


async def named_ids(reader: OutboxReader) -> NamedIds:
    """Collect the ids that records name which are still to be sent."""
    found = NamedIds(set(), set(), set(), set())
    async for page in reader.queued():
        for record in page:
            ids = enrichment.IDS.decode(record.payload)
            found.contacts.add(ids.contact_id or "")
            found.conversations.add(ids.conversation_id or "")
            found.providers.add(ids.conversation_provider_id or "")
            found.locations.add(record.location)
    return found


async def workload(reader: OutboxReader) -> dict[str, Workload]:
    """Count what is left to do, by location.

    Memory grows with the contacts and files that are not known yet, and not with the records.
    """
    async with reader.at_one_moment():
        summary = await reader.summary()
        counts = {name: n for name in summary.locations if (n := summary.left_now(name))}
        needs: defaultdict[str, _Needs] = defaultdict(_Needs)
        async for page in reader.queued(deferred_only=True):
            by_location: defaultdict[str, list[QueuedRecord]] = defaultdict(list)
            for record in page:
                by_location[record.location].append(record)
            for location, records in by_location.items():
                await needs[location].add(records, partial(reader.lookups, location))
    return {name: needs[name].workload(records) for name, records in counts.items()}


class _Needs:
    """What the records of one location lack that no lookup tells."""

    def __init__(self) -> None:
        self._contacts: dict[str, str] = {}
        """Contacts that are known, by number or address."""
        self._persons: dict[str, str] = {}
        """Whom a number or an address belongs to, where records tell more of them than that."""
        self._handles: set[tuple[str, str, int]] = set()
        self._unknown: set[str] = set()
        """The lookups of files, conversations and owners that are not known."""
        self._met: set[str] = set()

    async def add(self, records: Iterable[QueuedRecord], find: Find) -> None:
        """Take a page of records in."""
        items = [
            (enrichment.IDS.decode(record.payload), read_deferred(record.deferred))
            for record in records
            if record.deferred
        ]
        await self._look_up(items, find)
        wanted = set()
        for ids, deferred in items:
            contact = ids.contact_id
            if contact is None and ids.conversation_id is None and deferred.contact is not None:
                contact = self._contact(deferred.contact.key)
            if ids.conversation_id is None and (deferred.files or deferred.outbound_call):
                wanted.add(enrichment.conversation_lookup(contact or self._person(deferred)))
            wanted.update(f"file:{file.digest}" for file in deferred.files)
            if deferred.files and ids.conversation_id and not ids.contact_id:
                wanted.add(f"owner:{ids.conversation_id}")
        wanted -= self._unknown
        if wanted:
            self._unknown |= wanted - (await find(list(wanted))).keys()

    async def _look_up(self, items: Iterable[Incomplete], find: Find) -> None:
        handles = {deferred.contact.key for _, deferred in items if deferred.contact is not None}
        handles -= self._met
        self._met |= handles
        contacts = {enrichment.contact_lookup(Contact(phone=handle)): handle for handle in handles}
        persons = {f"{enrichment.PERSON}{handle}": handle for handle in handles}
        known = await find([*contacts, *persons])
        self._contacts |= {of: known[name] for name, of in contacts.items() if name in known}
        for name, handle in persons.items():
            if name in known:
                self._persons[handle] = enrichment.CONTACTS.decode(known[name]).key

    def _contact(self, handle: str) -> str | None:
        contact = self._contacts.get(handle)
        if contact is None:
            who = self._persons.get(handle, handle)
            self._handles.add((handle, who, 1 + (handle in self._persons)))
        return contact

    def _person(self, deferred: Deferred) -> str:
        handle = deferred.contact.key if deferred.contact else ""
        return self._persons.get(handle, handle)

    def workload(self, records: int) -> Workload:
        """Sum up."""
        kinds = Counter(name.partition(":")[0] for name in self._unknown)
        return Workload(
            records,
            handles=len(self._handles),
            contacts=len({who for _, who, _ in self._handles}),
            ways=sum(ways for _, _, ways in self._handles),
            files=kinds["file"],
            conversations=kinds["conversation"],
            owners=kinds["owner"],
        )
