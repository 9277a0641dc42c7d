"""Lookups: what the API's answers taught of a location, by name: ids, URLs, threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.api.enrichment import conversation_lookup, forgettable, person_lookups
from leadconnector_async.outbox.durable import read_mark

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping

    from leadconnector_async.outbox.base import Settlement
    from leadconnector_async.outbox.database import Database
    from leadconnector_async.outbox.durable import ReadMark

# Where pairs are IN a list, SQLite searches for them by their location alone, and reads all lookups
# of it: there is one for each contact, file and mail.
_KNOWN: Final = """WITH w (location, name) AS ({rows}) SELECT lookup.name, value
    FROM w CROSS JOIN lookup WHERE lookup.location = w.location AND lookup.name = w.name"""

# A mark's name goes on with its lane, and then the conversation.
_LANE: Final = """CAST(substr(name, 6,
    length(name) - 5 - length(ltrim(substr(name, 6), '-0123456789'))) AS bigint)"""

_FINISHED: Final = f"""SELECT name, value, (SELECT conversation_id FROM outcome o
        WHERE o.location = l.location AND o.lane = {_LANE}
            AND state = 2 AND conversation_id IS NOT NULL LIMIT 1)
    FROM lookup l WHERE location = $1 AND name >= 'mark:' AND name < 'mark;' AND NOT EXISTS (
        SELECT 1 FROM queue q WHERE q.location = l.location AND q.lane = {_LANE})"""  # noqa: S608 - our own names

_MARKING: Final = """SELECT name FROM location WHERE EXISTS (SELECT 1 FROM lookup l
    WHERE l.location = id AND l.name >= 'mark:' AND l.name < 'mark;') ORDER BY id"""

_NOTE: Final = "INSERT INTO lookup (location, name, value)"

_UNLESS_KNOWN: Final = " ON CONFLICT DO NOTHING"

_OVER: Final = " ON CONFLICT (location, name) DO UPDATE SET value = excluded.value"

_FORGET: Final = "DELETE FROM lookup WHERE location = $1 AND name = $2"


class Lookups:
    """Those of a store. Locations go by their numbers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self, location: int, names: Iterable[str]) -> dict[str, str]:
        """Return those of the lookups that are known."""
        kept = {self._database.name(name): name for name in names}
        rows = [(location, name) for name in kept]
        found = await self._database.fetch_for(_KNOWN, "int text", rows)
        return {kept[name]: value for name, value in found}

    async def put(self, location: int, lookups: Mapping[str, str]) -> None:
        """Note lookups, over what was known."""
        await self._note({(location, name): value for name, value in lookups.items()}, _OVER)

    async def learn(self, settlements: Iterable[Settlement]) -> None:
        """Note what ends teach, unless it is known: of several values, the first."""
        told = [fate for fate in settlements if fate.lookups]
        learned: dict[tuple[int, str], str] = {}
        for fate in told:
            for name, value in (fate.lookups or {}).items():
                learned.setdefault((fate.claim.lease.number, name), value)
        if told:
            await self._note(learned, _UNLESS_KNOWN)

    async def note_persons(self, records: Iterable[tuple[int, str]]) -> None:
        """Note who records name by number and address both, by location and what they lack.

        The first record of a person counts: a number that several addresses go with is rare.
        """
        persons: dict[tuple[int, str], str] = {}
        for location, deferred in records:
            for name, contact in person_lookups(deferred).items():
                persons.setdefault((location, name), contact)
        await self._note(persons, _UNLESS_KNOWN)

    async def _note(self, lookups: Mapping[tuple[int, str], str], tail: str) -> None:
        # In one order in all processes, so that none waits for another that waits for it.
        text, name_of = self._database.text, self._database.name
        rows = sorted((of, name_of(name), text(value)) for (of, name), value in lookups.items())
        await self._database.write(_NOTE, rows, tail)

    async def forget(self, location: int, names: Collection[str]) -> None:
        """Let lookups be asked for again."""
        for name in names:
            await self._database.fetch(_FORGET, location, self._database.name(name))

    async def forget_places(
        self,
        records: Iterable[tuple[int, int, bytes, str]],
        in_doubt: Container[tuple[int, int]],
    ) -> None:
        """Let it be asked again where rejected records belong: contacts may have been deleted.

        Not in lanes ``in_doubt``: what may be stored is looked for with what was known.
        """
        for location, names in forgettable(records, in_doubt).items():
            contacts = (await self.known(location, names)).values()
            names |= {conversation_lookup(contact) for contact in contacts}
            await self.forget(location, names)

    async def finished(self, location: int) -> list[ReadMark]:
        """See `DurableOutbox.finished`."""
        return [read_mark(*row) for row in await self._database.fetch(_FINISHED, location)]

    async def marking(self) -> list[str]:
        """See `DurableOutbox.marking`."""
        return [name for (name,) in await self._database.fetch(_MARKING)]
