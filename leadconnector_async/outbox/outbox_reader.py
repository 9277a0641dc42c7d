"""What an outbox tells to whoever only reads: beside a run, or after one that ended or crashed.

Reading changes nothing, and keeps nobody from writing. Many rows come in pages: memory stays flat.
Their SQL is that of `leadconnector_async.outbox.database`.
"""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import PurePath
from typing import Any, ClassVar, Final, Self

import msgspec

from leadconnector_async.outbox import reader as read
from leadconnector_async.outbox.base import LOWEST, SPAN_MS, State, StoppedLocation, TrailEvent
from leadconnector_async.outbox.database import Database, T, statements
from leadconnector_async.outbox.lookups import Lookups
from leadconnector_async.outbox.reader import MAX_PLACES, OutboxSummary, SourcePosition
from leadconnector_async.quota.limits import QuotaSnapshot
from leadconnector_async.records.keys import key_from_text

_LINE: Final = re.compile(r"(?:(?P<source>.+):)?(?P<line>[1-9]\d{0,8})", re.DOTALL)

_NUMBER: Final = re.compile(r"\+?\d{7,15}")

_PUNCTUATION: Final = re.compile(r"[\s()./-]")

_WILD: Final = re.compile(r"[\\%_]")

_PAGE: Final = 256

_ENDS_PAGE: Final = 500

_SQL: Final = statements(__package__, "outbox_reader")


class OutboxReader(ABC):
    """Every method raises `OutboxError` where the store cannot be read."""

    _store: ClassVar[str]
    """The package of the store's own SQL, beside what is asked of both alike."""
    _queries: ClassVar[dict[str, str]]
    """What it asks in its own words, by name."""

    @abstractmethod
    async def _ask(self, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        """Let ``work`` ask the store."""

    async def _rows(self, query: str, *values: object) -> Sequence[Any]:
        async def fetch(database: Database) -> Sequence[Any]:
            given = [database.text(value) if isinstance(value, str) else value for value in values]
            return await database.fetch(query, *given)

        return await self._ask(fetch)

    @abstractmethod
    def at_one_moment(self) -> AbstractAsyncContextManager[None]:
        """Answer all that is asked within the block as of its beginning."""

    async def summary(self, *, lately_s: float = 60.0, now_ms: int | None = None) -> OutboxSummary:
        """Count everything, as of one moment. ``lately_s`` is taken to the next ten seconds."""
        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        since = (now - round(lately_s * 1000)) // SPAN_MS
        rows = self._rows
        async with self.at_one_moment():
            totals = (await self._totals()).items()
            counts = {name: read.RecordCounts(*numbers) for name, numbers in totals}
            ((first_at, last_at),) = await rows(self._queries["moments"])
            ((spans, sent_lately),) = await rows(_SQL["pace"], since)
            ((records, copies),) = await rows(_SQL["kept"])
            return OutboxSummary(
                counts,
                [
                    read.ReasonGroup(State(of.state), of.reason, of.count, await self._first(of))
                    for of in read.grouped(await rows(_SQL["reasons"]))
                ],
                first_at,
                last_at,
                sent_lately,
                (now - since * SPAN_MS) / 1000,
                records,
                copies,
                [SourcePosition(*place) for place in await rows(_SQL["copies"], MAX_PLACES)],
                spans * SPAN_MS,
                {name: n for name, n in await rows(_SQL["later"])},  # noqa: C416 - rows are no pairs
                await self._owners(counts, since),
            )

    async def _totals(self) -> dict[str, list[int]]:
        """How many records of each location stand where, by the numbers of states."""
        found: dict[str, list[int]] = {}
        for name, state, n in await self._rows(self._queries["totals"]):
            found.setdefault(name, [0] * len(State))[state] = n
        return found

    async def _first(self, group: read.Group) -> list[SourcePosition]:
        """Where the first records of a group stand: they are among the first of each reason."""
        found = [
            tuple(row)
            for _, reason in group.sources
            for row in await self._rows(self._queries["places"], group.state, reason, MAX_PLACES)
        ]
        return [SourcePosition(name, line) for _, name, line in sorted(found)[:MAX_PLACES]]

    async def _owners(self, _locations: Iterable[str], _since: int) -> tuple[read.Owner, ...]:
        return ()

    async def quotas(self) -> dict[str, QuotaSnapshot]:
        """How much of each location's quota was used, where anything was."""
        return {name: QuotaSnapshot(*of) for name, *of in await self._rows(self._queries["quotas"])}

    async def stopped(self) -> dict[str, StoppedLocation]:
        """Locations that cannot go on, whoever owns them: none of a file, which has one owner."""
        return {}

    async def lanes(self) -> dict[str, int]:
        """How many lanes of each location have something to send."""
        return {name: n for name, n in await self._rows(_SQL["lanes"])}  # noqa: C416 - rows are no pairs

    async def lookups(self, location: str, names: Sequence[str]) -> dict[str, str]:
        """Those of the named lookups of a location that are known."""
        found = await self._rows(self._queries["location"], location)
        if not found:
            return {}
        return await self._ask(lambda database: Lookups(database).known(found[0][0], names))

    async def contacts(self) -> tuple[int, int]:
        """How many contacts are known by number or address, and how many of them were made."""
        ((known, made),) = await self._rows(_SQL["contacts"])
        return known, made

    async def sources(self) -> list[str]:
        """The names of all sources that records came from."""
        return [name for (name,) in await self._rows(_SQL["sources"])]

    async def failed_forms(self) -> set[bytes | None]:
        """The forms of the sources that have failed records; None is for no source."""
        return {form for (form,) in await self._rows(self._queries["forms"])}

    @abstractmethod
    def failed(self) -> AsyncIterator[list[read.FailedRecord]]:
        """The records that failed, by source and line. Needs 8 bytes of memory for each."""

    async def sent(self, location: str) -> AsyncIterator[list[read.SentRecord]]:
        """What was sent to a location, one lane after the other."""
        found = await self._rows(self._queries["location"], location)
        after = LOWEST, LOWEST
        while found and (page := await self._rows(_SQL["sent"], found[0][0], *after, _PAGE)):
            yield [read.SentRecord(*record) for _, _, *record in page]
            lane, seq, *_ = page[-1]
            after = lane, seq

    async def queued(
        self, *, deferred_only: bool = False
    ) -> AsyncIterator[list[read.QueuedRecord]]:
        """What is still to be sent; with ``deferred_only``, what lacks something."""
        after = 0, LOWEST, LOWEST, LOWEST  # what is left for later stands before
        while page := await self._rows(_SQL["queued"], *after, not deferred_only, _PAGE):
            yield [read.QueuedRecord(*record) for _, _, _, _, *record in page]
            location, lane, date, seq, *_ = page[-1]
            after = location, lane, date, seq

    @abstractmethod
    def records(self, kind_of_refused: read.KindOf) -> AsyncIterator[list[read.HistoryRecord]]:
        """Every record, in the order of staging. Needs one byte of memory for each.

        ``kind_of_refused`` tells what a record is that validation refused.
        """

    async def broken(self) -> dict[str, int]:
        """How many rows break each rule of the store that any does break."""
        rules = statements(self._store, "invariants") | statements(__package__, "invariants")
        async with self.at_one_moment():
            found = {what: await self._rows(query) for what, query in rules.items()}
        counts = {what: sum(count for (count,) in rows) for what, rows in found.items()}
        return {what: count for what, count in counts.items() if count}

    async def overtaken(self) -> int:
        """How many messages were sent before an earlier one of their lane.

        That is no fault: the earlier one may have been read, put back, or selected later.
        """
        ((count,),) = await self._rows(_SQL["overtaken"])
        return int(count)

    async def find(self, text: str) -> list[int]:
        """The numbers of the records that a text names, by the first of these that it is of any.

        Its id or key; the place in its source (``history.csv:12``, or the line alone); the id of
        its message or conversation; a contact's id, number or address.
        """
        found = await self._rows(_SQL["by_key"], key_from_text(text))
        if not found and (place := _LINE.fullmatch(text)):
            source, line = place["source"] or "", int(place["line"])
            for name in dict.fromkeys((source, PurePath(source).name)):  # whatever leads to it now
                found = found or await self._rows(self._queries["by_line"], name, line)
        if not found:
            found = await self._rows(_SQL["by_answer"], text)
        for pattern in _patterns(text):
            found = found or await self._rows(self._queries["by_text"], f"%{pattern}%")
        return [seq for (seq,) in found]

    async def lives(self, seqs: Sequence[int]) -> AsyncIterator[read.RecordLife]:
        """All that is known of some records."""
        rows, queries = self._rows, self._queries
        for seq in seqs:
            for row in await self._ended(seq - 1, 1):
                life = _life(row)
                owners = [] if life.at is None else await rows(queries["owner"], row[3], life.at)
                places = await rows(queries["positions"], seq)
                yield life._replace(
                    places=[SourcePosition(*place) for place in places],
                    trail=[TrailEvent(*event) for event in await rows(queries["trail"], seq)],
                    worker=owners[0][0] if owners else None,
                )

    async def ends(self) -> AsyncIterator[list[read.RecordLife]]:
        """What became of every record, in the order of staging, without its trail."""
        last = 0
        while page := await self._ended(last, _ENDS_PAGE):
            if page[-1][0] <= last:  # as where pages of a file are in each other's place
                raise ValueError("records are out of order: this would never end")
            yield [_life(row) for row in page]
            last = page[-1][0]

    async def _ended(self, after: int, limit: int) -> Sequence[Any]:
        return await self._rows(_SQL["lives"].format(origin=self._queries["origin"]), after, limit)

    @abstractmethod
    async def close(self) -> None:
        """Let go of the store."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _patterns(text: str) -> Iterator[str]:
    """How a JSON string with a text may look; a number is in E.164, whatever it lacks of that."""
    digits = _PUNCTUATION.sub("", text)
    if _NUMBER.fullmatch(digits):
        for missing in range(1 if digits.startswith("+") else 4):  # digits of a country code
            yield f'"+{"_" * missing}{digits.lstrip("+0")}"'
    yield _WILD.sub(r"\\\g<0>", msgspec.json.encode(text).decode())


def _life(row: Sequence[Any]) -> read.RecordLife:
    _, key, location, _, date, payload, source, line, state, *rest = row
    kind = (None, None, None) if payload is None else read.kind_of(payload, date)
    places = [SourcePosition(source, line)] if source else []
    return read.RecordLife(bytes(key), location, *kind, places, [], None, State(state), *rest)
