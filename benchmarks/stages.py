"""How much CPU does each stage of an import take per message, by itself?

Staged from a file in the reader's own batches, then claimed and settled in the groups in which a
fast API makes the dispatcher do it. CPU time is that of the whole process, so the store's thread is
in it, and the disk is not.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from benchmarks import machine
from benchmarks.contest import report
from benchmarks.outbox import fate
from benchmarks.records import Shape, location_id, records, write_jsonl
from leadconnector_async.api.endpoints import INBOUND_PATH, post_message
from leadconnector_async.api.responses import Accepted, classify, read_rate_limit_headers
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.quota.quota import Quota
from leadconnector_async.records.builder import RowDrafter
from leadconnector_async.records.draft import encode
from leadconnector_async.records.keys import stamped
from leadconnector_async.records.validation import validate
from leadconnector_async.sources import SourceOptions
from leadconnector_async.sources.batch_reader import SourceReader

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator

    from leadconnector_async.records.draft import Draft
    from leadconnector_async.sources import Parsed

COUNT: Final = 50_000
GROUP: Final = 512
"""What the dispatcher claims at once of a location without a quota."""
BODY: Final = orjson.dumps(
    {
        "success": True,
        "conversationId": "ABC12h2F6uBrIkfXYazb",
        "messageId": "t22c6DQcTDf3MjRhwf77",
        "message": "Message added successfully",
        "contactId": "c22c6DQcTDf3MjRhwf77",
        "dateAdded": "2024-05-01T09:30:00.000Z",
    }
)
HEADERS: Final = CIMultiDictProxy(
    CIMultiDict(
        {
            "Content-Type": "application/json; charset=utf-8",
            "X-RateLimit-Limit-Daily": "200000000",
            "X-RateLimit-Daily-Remaining": "199999000",
            "X-RateLimit-Interval-Milliseconds": "10000",
            "X-RateLimit-Max": "100000000",
            "X-RateLimit-Remaining": "99990000",
        }
    )
)


class Stages:
    """CPU seconds by stage, and how many messages went through it."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._messages: dict[str, int] = defaultdict(int)

    def time(self, stage: str, messages: int, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the work gives
        """Count what a function takes."""
        began = time.process_time()
        result = work()
        self.count(stage, messages, began)
        return result

    async def time_of(self, stage: str, messages: int, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - the same
        """Count what the store takes."""
        began = time.process_time()
        result = await work
        self.count(stage, messages, began)
        return result

    def count(self, stage: str, messages: int, began: float) -> None:
        """Count what was begun at some CPU time, and is done now."""
        self._seconds[stage] += time.process_time() - began
        self._messages[stage] += messages

    def microseconds(self) -> dict[str, float]:
        """Of each stage, per message."""
        return {name: total / self._messages[name] * 1e6 for name, total in self._seconds.items()}


def batches(stages: Stages, stage: str, path: Path) -> Iterator[list[Parsed]]:
    """Read a file as the import does."""
    reader = SourceReader([str(path)], SourceOptions())
    for _ in reader.sources():
        while True:
            began = time.process_time()
            batch = reader.batch()
            if not batch:
                break
            stages.count(stage, len(batch), began)
            yield batch


def drafted(stages: Stages, batch: list[Parsed], key: str) -> list[Draft]:
    """Validate the records of a batch, and make drafts of them."""
    rows = [parsed.row for parsed in batch if parsed.row is not None]
    n = len(rows)
    assert n == len(batch)
    verdicts = stages.time("validate", n, lambda: [validate(row) for row in rows])
    assert not any(verdicts)
    drafter = RowDrafter(location_id(0), time.time_ns() // 1_000_000)
    drafts: list[Draft] = stages.time(
        f"validate, encode, key by {key}",
        n,
        lambda: [drafter.draft_of(parsed) for parsed in batch],
    )
    assert all(draft.payload is not None for draft in drafts)
    stages.time("encode", n, lambda: [encode(row) for row in rows])
    return drafts


async def store(stages: Stages, source: Path, outbox: SqliteOutbox) -> None:
    """Take the records of a file through an outbox."""
    source_pass = SourcePass(await outbox.source(str(source), b"{}"))
    total = 0
    for batch in batches(stages, "parse JSON Lines", source):
        drafts = drafted(stages, batch, "id")
        await stages.time_of("stage", len(drafts), outbox.stage(drafts, source_pass))
        total += len(drafts)
    await stages.time_of("seal", total, outbox.publish())
    again = SourcePass(source_pass.source)
    for batch in batches(stages, "parse JSON Lines", source):
        drafts = drafted(stages, batch, "id")
        await stages.time_of("stage again", len(drafts), outbox.stage(drafts, again))
    lease = (await outbox.acquire(location_id(0))).lease
    while True:
        began = time.process_time()
        (claims,) = await outbox.claim([(lease, GROUP)])
        if not claims:
            break
        stages.count("claim", len(claims), began)
        fates = [fate(claim) for claim in claims]
        await stages.time_of("settle", len(fates), outbox.settle(fates, ()))
        stages.time("body", len(claims), partial(bodies, claims))


def bodies(claims: Iterable[Any]) -> None:
    """Make the requests of some claims."""
    for claim in claims:
        post_message(INBOUND_PATH, stamped(claim.payload, claim.key))


def judge_all(count: int) -> None:
    """Classify as many answers."""
    for _ in range(count):
        assert type(classify(201, BODY)) is Accepted


async def spend_all(count: int) -> None:
    """Take as many slots, and give them back with what the headers say."""
    quota = Quota(RateLimit(requests=10**8, interval=10.0, daily=2 * 10**8), now=0.0, wall_ms=0)
    for number in range(count):
        now = 10.0 + number / 1000
        assert quota.ready_at(now) <= now
        slot = quota.take(now)
        quota.give_back(slot, now, read_rate_limit_headers(HEADERS))


async def run(folder: Path, count: int) -> dict[str, float]:
    """Measure every stage once, and how many bytes a record takes that is sent."""
    stages = Stages()
    async with await SqliteOutbox.open(folder / "outbox.db") as outbox:
        await store(stages, folder / "records.jsonl", outbox)
    size = (folder / "outbox.db").stat().st_size
    for batch in batches(stages, "parse CSV", folder / "records.csv"):
        drafted(stages, batch, "content")
    stages.time("judge", count, lambda: judge_all(count))
    stages.time(
        "read allowance", count, lambda: [read_rate_limit_headers(HEADERS) for _ in range(count)]
    )
    await stages.time_of("quota, allowance included", count, spend_all(count))
    return stages.microseconds() | {"bytes in the outbox": size / count}


def write_csv(path: Path, shape: Shape) -> None:
    """Write the records without their ids: their content is their key."""
    columns = "type contactId conversationProviderId direction date message subject html emailFrom"
    names = [*columns.split(), "emailTo", "attachments", "call.to", "call.from", "call.status"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        for record in records(shape):
            call = record.pop("call", {})
            assert isinstance(call, dict)
            attachments = record.pop("attachments", [])
            assert isinstance(attachments, list)
            flat = {f"call.{name}": value for name, value in call.items()}
            writer.writerow(record | flat | {"attachments": ";".join(attachments)})


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--messages", type=int, default=COUNT)
    given = parser.parse_args()
    machine.pin(machine.CLIENT_CORE)
    shape = Shape(count=given.messages)
    took: dict[str, list[float]] = defaultdict(list)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_jsonl(folder / "records.jsonl", shape)
        write_csv(folder / "records.csv", shape)
        for _ in range(given.runs):
            for stage, figure in asyncio.run(run(folder, shape.count)).items():
                took[stage].append(figure)
            for file in folder.glob("outbox.db*"):
                file.unlink()
    report(
        "stages",
        runs=given.runs,
        messages=given.messages,
        cpu_us_per_message={stage: round(median(its), 2) for stage, its in took.items()},
    )


if __name__ == "__main__":
    main()
