"""What has to hold in an outbox, wherever it is: counts that have to be 0, and of what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from leadconnector_async.outbox.database import ENDS, WAITS

if TYPE_CHECKING:
    from collections.abc import Iterable

INVARIANTS: Final = {
    "records that wait and have an end": f"""SELECT count(*) FROM record r {WAITS}
        JOIN {ENDS} WHERE q.seq IS NOT NULL""",  # noqa: S608 - our own names
    "places in the queue without their record": """SELECT count(*) FROM queue q LEFT JOIN record r
        ON (r.seq, r.lane, r.date) = (q.seq, q.lane, q.date)
            AND q.location IN (r.location, -r.location)
        WHERE r.seq IS NULL""",
    "ends without their record": """SELECT count(*) FROM outcome o LEFT JOIN record r
        ON (r.seq, r.lane, r.location) = (o.seq, o.lane, o.location) WHERE r.seq IS NULL""",
}


def references(sources: str, notes: Iterable[str]) -> dict[str, str]:
    """Invariants of a store: the table that has sources, and those that tell more of records."""
    return {
        "notes on records that are not there": " UNION ALL ".join(
            f"SELECT count(*) FROM {table} t"  # noqa: S608 - our own names
            " WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.seq = t.seq)"
            for table in notes
        ),
        "records whose location, source or reason is not there": f"""
            SELECT count(*) FROM record WHERE location NOT IN (SELECT id FROM location)
            UNION ALL SELECT count(*) FROM {sources}
                WHERE source > 0 AND source NOT IN (SELECT id FROM source)
            UNION ALL SELECT count(*) FROM outcome
                WHERE reason IS NOT NULL AND reason NOT IN (SELECT id FROM reason)""",  # noqa: S608 - the same
    }
