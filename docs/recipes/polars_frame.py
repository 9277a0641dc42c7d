"""A data frame into conversations, and what became of each row beside it: polars.

Run::

    pip install 'leadconnector-async[contacts]' polars
    python polars_frame.py texts.parquet outcomes.parquet

The frame has the columns ``id``, ``sender`` (a number in E.164), ``text`` and ``received_at`` (a
moment with a time zone). CSV works too, by the name's ending, with moments such as
``2024-03-29T15:06:41-05:00``.

Environment:
    LEADCONNECTOR_TOKEN, LEADCONNECTOR_LOCATION: where messages go.
    LEADCONNECTOR_OUTBOX: path of a file, or ``postgresql://USER@HOST/DATABASE``.
    LEADCONNECTOR_BASE_URL: another API, such as ``leadconnector sandbox`` prints it.

Guarantees:
    All rows are written down before the first is sent; per contact, they are sent by date.
    The same again goes on where this ended, however it ended, and stores nothing twice: ``id`` is
    the key. What earlier runs have settled is not among the outcomes: ``leadconnector report
    --csv`` lists all.
    The exit status is 0 if each of the outcomes is stored, else 1; ``leadconnector status`` tells
    of all runs.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from leadconnector_async import Contact, InboundMessage, Ingestor, LeadConnector, Record, Sent

if TYPE_CHECKING:
    from collections.abc import Iterator

API: Final = os.environ.get("LEADCONNECTOR_BASE_URL", "https://services.leadconnectorhq.com")
OUTCOMES: Final = dict.fromkeys(("id", "outcome", "message_id", "reason"), pl.String)


def records(frame: pl.DataFrame) -> Iterator[Record]:
    """Make a record of each row; they are asked for in batches."""
    for row in frame.iter_rows(named=True):
        message = InboundMessage(
            type="SMS", direction="inbound", date=row["received_at"], message=row["text"]
        )
        yield Record(id=row["id"], contact=Contact(phone=row["sender"]), message=message)


async def send(frame: pl.DataFrame) -> pl.DataFrame:
    """Send all rows; the result has a row for each outcome."""
    rows: list[tuple[str, str, str | None, str | None]] = []
    async with (
        LeadConnector(
            os.environ["LEADCONNECTOR_TOKEN"],
            location_id=os.environ["LEADCONNECTOR_LOCATION"],
            base_url=API,
        ) as api,
        Ingestor(api, outbox=os.environ["LEADCONNECTOR_OUTBOX"]) as ingestor,
    ):
        async for outcome in ingestor.run(records(frame)):
            kind = type(outcome).__name__
            if isinstance(outcome, Sent):
                rows.append((outcome.key, kind, outcome.receipt.message_id, None))
            else:
                rows.append((outcome.key, kind, None, outcome.reason))
    return pl.DataFrame(rows, schema=OUTCOMES, orient="row")


def read(path: Path) -> pl.DataFrame:
    """Read a frame of the columns that are needed."""
    columns = ["id", "sender", "text", "received_at"]
    if path.suffix != ".csv":
        return pl.read_parquet(path, columns=columns)
    texts = pl.read_csv(path, columns=columns, infer_schema=False)
    with_offset = "%+"  # without one it would be taken for UTC
    return texts.with_columns(pl.col("received_at").str.to_datetime(with_offset, time_zone="UTC"))


def main(source: str, target: str) -> int:
    """Send a file's rows, write down their outcomes, and print how many there are of each."""
    outcomes = asyncio.run(send(read(Path(source))))
    outcomes.write_parquet(target)
    print(outcomes.group_by("outcome").len().sort("outcome"))
    return int((outcomes["outcome"] != "Sent").any())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
