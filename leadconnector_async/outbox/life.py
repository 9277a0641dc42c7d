"""The life of single records: where they were read, what happened on their way, how they ended.

Both stores keep it alike, so that how it is put together is written once, and what is read of a
payload for a report of all records; the queries are theirs.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from leadconnector_async.outbox.base import State, TrailEvent
from leadconnector_async.outbox.reader import RecordLife, SourcePosition
from leadconnector_async.records.draft import key_from_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    Rows = Callable[..., Awaitable[Sequence[Any]]]


class _PayloadKind(Struct, gc=False):
    """What is decoded of a payload. A database's own JSON functions take three times as long."""

    type: str | None = None
    direction: str | None = None
    date: Raw | UnsetType = UNSET


_kinds: Final = msgspec.json.Decoder(_PayloadKind)


def kind_of(payload: bytes, date: int) -> tuple[str | None, str | None, int | None]:
    """Type, direction, and ``date`` if the message has one."""
    kind = _kinds.decode(payload)
    return kind.type, kind.direction, None if kind.date is UNSET else date


_LINE: Final = re.compile(r"(?:(?P<source>.+):)?(?P<line>[1-9]\d{0,8})", re.DOTALL)

_PAGE: Final = 500

_NUMBER: Final = re.compile(r"\+?\d{7,15}")

_PUNCTUATION: Final = re.compile(r"[\s()./-]")

_WILD: Final = re.compile(r"[\\%_]")

OVERTAKEN: Final = """SELECT count(*) FROM (
    SELECT at, max(at) OVER (PARTITION BY r.location, r.lane ORDER BY r.date, r.seq
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM record r JOIN outcome o
        ON o.location = r.location AND o.lane = r.lane AND o.seq = r.seq AND o.state = 2
    ) AS sent WHERE at < before"""


class LifeQueries(NamedTuple):
    """The first four give numbers of records. A source is named whole, or by its end."""

    by_key: str
    """With a key."""
    by_line: str
    """Of a source ('' for any) and a line."""
    by_answer: str
    """With the id of a message or a conversation that the API gave."""
    by_text: str
    """With a JSON string that a body, or what it lacks, holds: a pattern of LIKE, whatever case."""
    records: str
    """Beyond a number, so many: the next number, key, location and its number, date, body, source,
    line, state, when, attempts, ids, reason and detail of each."""
    positions: str
    trail: str
    owner: str
    """Who owned a location at a time."""


async def find_records(rows: Rows, queries: LifeQueries, text: str) -> list[int]:
    """The numbers of the records that a text names, by the first of these that it is of any.

    Its id or key; the place in its source (``history.csv:12``, or the line alone); the id of its
    message or conversation; a contact's id, number or address.
    """
    found = await rows(queries.by_key, key_from_text(text))
    if not found and (place := _LINE.fullmatch(text)):
        source, line = place["source"] or "", int(place["line"])
        for name in dict.fromkeys((source, PurePath(source).name)):  # whatever way leads to it now
            found = found or await rows(queries.by_line, name, line)
    if not found:
        found = await rows(queries.by_answer, text)
    for pattern in _patterns(text):
        found = found or await rows(queries.by_text, f"%{pattern}%")
    return [seq for (seq,) in found]


def _patterns(text: str) -> Iterator[str]:
    """How a JSON string with a text may look; a number is in E.164, whatever it lacks of that."""
    digits = _PUNCTUATION.sub("", text)
    if _NUMBER.fullmatch(digits):
        for missing in range(1 if digits.startswith("+") else 4):  # digits of a country code
            yield f'"+{"_" * missing}{digits.lstrip("+0")}"'
    yield _WILD.sub(r"\\\g<0>", msgspec.json.encode(text).decode())


async def lives(rows: Rows, queries: LifeQueries, seqs: Sequence[int]) -> AsyncIterator[RecordLife]:
    """What is known of each of some records."""
    for seq in seqs:
        for row in await rows(queries.records, seq - 1, 1):
            life = _life(row)
            owners = [] if life.at is None else await rows(queries.owner, row[3], life.at)
            yield life._replace(
                places=[SourcePosition(*place) for place in await rows(queries.positions, seq)],
                trail=[TrailEvent(*event) for event in await rows(queries.trail, seq)],
                worker=owners[0][0] if owners else None,
            )


async def ends(rows: Rows, queries: LifeQueries) -> AsyncIterator[list[RecordLife]]:
    """What became of every record, in the order of staging, without what happened before."""
    last = 0
    while page := await rows(queries.records, last, _PAGE):
        yield [_life(row) for row in page]
        last = page[-1][0]


def _life(row: Sequence[Any]) -> RecordLife:
    _, key, location, _, date, payload, source, line, state, *rest = row
    kind = (None, None, None) if payload is None else kind_of(payload, date)
    places = [SourcePosition(source, line)] if source else []
    return RecordLife(bytes(key), location, *kind, places, [], None, State(state), *rest)
