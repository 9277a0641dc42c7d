"""What ``leadconnector import --dry-run`` does: everything but the requests."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from leadconnector_async._engine.tally import Tally
from leadconnector_async._errors import OutboxWriteFailed
from leadconnector_async._importing.destination import claim_for
from leadconnector_async._importing.estimate import budget_after, requests_for, seconds_needed
from leadconnector_async._importing.reading import Reader
from leadconnector_async._importing.staging import Stager
from leadconnector_async._importing.standing import standing_of
from leadconnector_async._importing.summary import Ending, LocationPlan, Summary, summary_of
from leadconnector_async._outbox.opening import open_to_read
from leadconnector_async._outbox.planning import work_left
from leadconnector_async._outbox.sqlite import SqliteOutbox
from leadconnector_async.cli._exits import Exit
from leadconnector_async.cli._plan_report import plan_lines
from leadconnector_async.cli._prose import say
from leadconnector_async.cli._report import note_lines, print_json
from leadconnector_async.cli._target import destination

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from leadconnector_async.cli._settings import ImportOptions


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
        raise OutboxWriteFailed(
            f"{outbox} cannot be copied to {copy} ({error}): make room there, or set TMPDIR"
        ) from error


async def _plan(options: ImportOptions, copy: str) -> Summary:
    started = time.monotonic()
    reader = Reader(options.sources, options.rehearsing())
    reader.check()
    tally = Tally()
    async with await SqliteOutbox.open(copy) as outbox:
        await claim_for(outbox, destination(options), name=options.outbox)
        stager = Stager(outbox, tally, location=options.location, providers=options.providers)
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
        tally,
        standing_of(copy),
        Ending(ended="planned", stopped=stopped),
        notices=stager.notes.notices,
        elapsed_s=time.monotonic() - started,
        outbox=options.outbox or "",
    )
    summary.plan = plans
    summary.estimate_s = max((plan.estimate_s for plan in plans), default=0.0)
    summary.estimate_most_s = max((plan.estimate_most_s for plan in plans), default=0.0)
    return summary


async def _plans(outbox: SqliteOutbox, options: ImportOptions) -> AsyncIterator[LocationPlan]:
    limit, limits = options.limit(), options.limits()
    for location, work in (await asyncio.to_thread(work_left, outbox.path)).items():
        epoch = await outbox.begin(location)
        now_ms = time.time_ns() // 1_000_000
        budget = budget_after(limits.get(location, limit), epoch.spend, now_ms)
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
