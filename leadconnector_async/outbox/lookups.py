"""Lookups: what the API's answers taught of a location, by name: ids, URLs, threads."""

from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping
from typing import Final, NamedTuple

from leadconnector_async.api import enrichment
from leadconnector_async.outbox.base import Settlement
from leadconnector_async.outbox.database import Database, statements
from leadconnector_async.records.deferred import read_deferred

_SQL: Final = statements(__package__, "lookups")


class ReadMark(NamedTuple):
    """A conversation whose last message is settled, and the lookup that says what is to be done.

    ``conversation`` is None where nothing is: it was unread before, or nothing was stored in it.
    """

    name: str
    conversation: str | None


class Lookups:
    """Those of a store. Locations go by their numbers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self, location: int, names: Iterable[str]) -> dict[str, str]:
        """Return those of the lookups that are known."""
        kept = {self._database.name(name): name for name in names}
        rows = [(location, name) for name in kept]
        found = await self._database.fetch_for(_SQL["known"], "int text", rows)
        return {kept[name]: value for name, value in found}

    async def put(self, location: int, lookups: Mapping[str, str]) -> None:
        """Note lookups, over what was known."""
        await self._note({(location, name): value for name, value in lookups.items()}, _SQL["put"])

    async def learn(self, settlements: Iterable[Settlement]) -> None:
        """Note what ends teach, unless it is known: of several values, the first."""
        told = [fate for fate in settlements if fate.lookups]
        learned: dict[tuple[int, str], str] = {}
        for fate in told:
            for name, value in (fate.lookups or {}).items():
                learned.setdefault((fate.claim.lease.number, name), value)
        if told:
            await self._note(learned, _SQL["learn"])

    async def note_persons(self, records: Iterable[tuple[int, str]]) -> None:
        """Note who records name by number and address both, by location and what they lack.

        The first record of a person counts: a number that several addresses go with is rare.
        """
        persons: dict[tuple[int, str], str] = {}
        for location, deferred in records:
            for name, contact in enrichment.person_lookups(deferred).items():
                persons.setdefault((location, name), contact)
        await self._note(persons, _SQL["learn"])

    async def _note(self, lookups: Mapping[tuple[int, str], str], query: str) -> None:
        # In one order in all processes, so that none waits for another that waits for it.
        text, name_of = self._database.text, self._database.name
        rows = sorted((of, name_of(name), text(value)) for (of, name), value in lookups.items())
        await self._database.write(query, rows)

    async def forget(self, location: int, names: Collection[str]) -> None:
        """Let lookups be asked for again."""
        for name in names:
            await self._database.fetch(_SQL["forget"], location, self._database.name(name))

    async def forget_places(
        self, records: Iterable[tuple[int, int, bytes, str]], in_doubt: Container[tuple[int, int]]
    ) -> None:
        """Let it be asked again where rejected records belong: contacts may have been deleted.

        Not in lanes ``in_doubt``: what may be stored is looked for with what was known.
        """
        places: defaultdict[int, set[str]] = defaultdict(set)
        for location, lane, payload, deferred in records:
            if (location, lane) not in in_doubt:
                places[location] |= enrichment.place_lookups(payload, read_deferred(deferred))
        for location, names in places.items():
            contacts = (await self.known(location, names)).values()
            names |= {enrichment.conversation_lookup(contact) for contact in contacts}
            await self.forget(location, names)

    async def finished(self, location: int) -> list[ReadMark]:
        """See `DurableOutbox.finished`."""
        found = await self._database.fetch(_SQL["finished"], location)
        return [ReadMark(name, _to_mark(value, sent_to)) for name, value, sent_to in found]

    async def marking(self) -> list[str]:
        """See `DurableOutbox.marking`."""
        return [name for (name,) in await self._database.fetch(_SQL["marking"])]


def _to_mark(value: str, sent_to: str | None) -> str | None:
    """``sent_to`` is the conversation of what was stored, if anything."""
    return None if value == enrichment.LEAVE or sent_to is None else value or sent_to
