"""What ``leadconnector import --dry-run`` does: everything but the requests."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from leadconnector_async.cli.exit_codes import Exit
from leadconnector_async.cli.format import say
from leadconnector_async.cli.import_report import plan_lines
from leadconnector_async.cli.report_lines import note_lines, print_json
from leadconnector_async.cli.target import destination
from leadconnector_async.delivery.stats import RunStats
from leadconnector_async.outbox.open import rehearsal
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
    from leadconnector_async.outbox.reader import OutboxReader


def plan(options: ImportOptions) -> Exit:
    """Say what an import would do, and how long it would take.

    It works on a copy of the outbox, which is gone afterwards.

    Raises:
        LeadConnectorError: a source, or the outbox that exists, cannot be read.
    """
    summary = asyncio.run(_plan(options))
    if options.as_json:
        print_json(summary)
    else:
        for line in plan_lines(summary, options):
            say(line)
    if any(location.error for location in summary.locations):
        return Exit.ERROR
    return Exit.FAILED if summary.failed or summary.unresolved else Exit.DONE


async def _plan(options: ImportOptions) -> ImportSummary:
    started = time.monotonic()
    reader = SourceReader(options.sources, await options.rehearsing())
    reader.check()
    stats = RunStats()
    async with rehearsal(options.outbox) as outbox:
        await outbox.dedicate(destination(options), name=options.outbox)
        stager = Stager(outbox, stats, location=options.location, providers=options.providers)
        await stager.stage(reader)
        async with await outbox.reader() as kept:
            plans = [plan async for plan in _plans(kept, options)]
            status = await status_of(kept)
    places = [plan.location for plan in plans]
    stopped = {} if options.locations is None else options.locations.missing(places)
    for reason in stopped.values():
        say(f"leadconnector: {reason}", err=True)
    if not options.quiet:
        for note in (*reader.warnings, *note_lines(stager.notes)):
            say(f"Note: {note}", err=True)
    summary = summary_of(
        stats,
        status,
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


async def _plans(reader: OutboxReader, options: ImportOptions) -> AsyncIterator[LocationPlan]:
    limit, limits = options.limit(), options.limits()
    snapshots, now_ms = await reader.quotas(), time.time_ns() // 1_000_000
    for location, work in (await reader.workload()).items():
        budget = budget_after(limits.get(location, limit), snapshots.get(location), now_ms)
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
