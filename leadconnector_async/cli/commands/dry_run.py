"""What ``leadconnector import --dry-run`` does: everything but the requests."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from msgspec.structs import replace

from leadconnector_async.cli.exit_codes import Exit
from leadconnector_async.cli.format import say
from leadconnector_async.cli.import_report import plan_lines
from leadconnector_async.cli.report_lines import note_lines, print_json
from leadconnector_async.cli.target import destination
from leadconnector_async.delivery.stats import RunStats
from leadconnector_async.errors import OutboxWriteError
from leadconnector_async.outbox.destination import claim_for
from leadconnector_async.outbox.sqlite.connection import open_to_read
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.outbox.sqlite.workload import work_left
from leadconnector_async.reports.estimate import budget_after, requests_for, seconds_needed
from leadconnector_async.reports.summary import (
    Ending,
    ImportSummary,
    LocationPlan,
    status_of,
    summary_of,
)
from leadconnector_async.sources.batch_reader import SourceReader
from leadconnector_async.stager import Stager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from leadconnector_async.cli.import_options import ImportOptions


def plan(options: ImportOptions) -> Exit:
    """Say what an import would do, and how long it would take.

    It works on a copy of the outbox, which is gone afterwards.

    Raises:
        LeadConnectorError: a source, or the outbox that exists, cannot be read.
    """
    with TemporaryDirectory(prefix="leadconnector-") as folder:
        copy = str(Path(folder) / "outbox.db")
        if options.outbox and Path(options.outbox).exists():
            _copy(options.outbox, copy)
        summary = asyncio.run(_plan(options, copy))
    if options.as_json:
        print_json(summary)
    else:
        for line in plan_lines(summary, options):
            say(line)
    if any(location.error for location in summary.locations):
        return Exit.ERROR
    return Exit.FAILED if summary.failed or summary.unresolved else Exit.DONE


def _copy(outbox: str, copy: str) -> None:
    try:
        with closing(open_to_read(outbox)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise OutboxWriteError(
            f"{outbox} cannot be copied to {copy} ({error}): make room there, or set TMPDIR"
        ) from error


async def _plan(options: ImportOptions, copy: str) -> ImportSummary:
    started = time.monotonic()
    reader = SourceReader(options.sources, options.rehearsing())
    reader.check()
    stats = RunStats()
    async with await SqliteOutbox.open(copy) as outbox:
        await claim_for(outbox, destination(options), name=options.outbox)
        stager = Stager(outbox, stats, location=options.location, providers=options.providers)
        await stager.stage(reader)
        plans = [plan async for plan in _plans(outbox, options)]
    places = [plan.location for plan in plans]
    stopped = {} if options.locations is None else options.locations.missing(places)
    for reason in stopped.values():
        say(f"leadconnector: {reason}", err=True)
    if not options.quiet:
        for note in (*reader.warnings, *note_lines(stager.notes)):
            say(f"Note: {note}", err=True)
    summary = summary_of(
        stats,
        status_of(copy),
        Ending(ended="planned", stopped=stopped),
        notices=stager.notes.notices,
        elapsed_s=time.monotonic() - started,
        outbox=options.outbox or "",
    )
    return replace(
        summary,
        plan=plans,
        estimate_s=max((plan.estimate_s for plan in plans), default=0.0),
        estimate_most_s=max((plan.estimate_most_s for plan in plans), default=0.0),
    )


async def _plans(outbox: SqliteOutbox, options: ImportOptions) -> AsyncIterator[LocationPlan]:
    limit, limits = options.limit(), options.limits()
    for location, work in (await asyncio.to_thread(work_left, outbox.path)).items():
        lease = await outbox.acquire(location)
        now_ms = time.time_ns() // 1_000_000
        budget = budget_after(limits.get(location, limit), lease.snapshot, now_ms)
        requests = requests_for(work, options.contacts)
        yield LocationPlan(
            location=location,
            records=work.records,
            contacts=work.contacts,
            files=work.files,
            conversations=work.conversations,
            requests_least=requests.least,
            requests_most=requests.most,
            estimate_s=round(seconds_needed(requests.least, budget), 1),
            estimate_most_s=round(seconds_needed(requests.most, budget), 1),
        )
