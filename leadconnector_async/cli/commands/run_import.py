"""What ``leadconnector import`` does: put the parts together, watch, stop on signals, report.

And what it does with ``--dry-run``: everything but the requests.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from leadconnector_async.cli import report_lines
from leadconnector_async.cli.app import Exit
from leadconnector_async.cli.format import counted, say
from leadconnector_async.cli.import_options import destination, providers_of, taken_as_known, target
from leadconnector_async.cli.metrics import Metrics, served_metrics
from leadconnector_async.cli.progress_display import NoDisplay, choose_display
from leadconnector_async.delivery.results import RunStats
from leadconnector_async.delivery.workers import MAX_WORKERS, max_workers
from leadconnector_async.errors import DailyQuotaSpentError, LeadConnectorError
from leadconnector_async.file_importer import Signals
from leadconnector_async.importer import Importer, import_with, reading_options
from leadconnector_async.outbox.open import rehearsal, shown_place
from leadconnector_async.outbox.workload import workload
from leadconnector_async.reports.outbox_status import status_of
from leadconnector_async.reports.progress import budget_after, requests_for, seconds_needed
from leadconnector_async.reports.summary import Ending, LocationPlan, summary_of
from leadconnector_async.sources.batch_reader import SourceReader
from leadconnector_async.stager import Stager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from leadconnector_async.auth.provider import TokenProvider
    from leadconnector_async.cli.import_options import ImportOptions
    from leadconnector_async.cli.rich_progress import BarDisplay
    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.reports.summary import Ended, ImportSummary

_CODES: Final[dict[Ended, Exit]] = {
    "error": Exit.ERROR,
    "day_spent": Exit.DAY_SPENT,
    "time_up": Exit.DAY_SPENT,
    "interrupted": Exit.INTERRUPTED,
}
"""The others are `Exit.DONE`."""

_SHOWN_FOR: Final = 100
"""Progress is shown so many times as long as it takes to find out: it does with each location."""


def run(options: ImportOptions, *, color: bool) -> Exit:
    """Import, print the report, and say how it ended.

    Raises:
        LeadConnectorError: there is nothing to report: no source or no outbox could be opened.
    """
    if options.dry_run:
        return plan(options)
    display = choose_display(quiet=options.quiet, color=color)
    options = _within_open_files(options)
    with ExitStack() as until_reported:
        with (
            served_metrics(options) as metrics,
            target(options) as (base_url, token),
            asyncio.Runner(loop_factory=loop_factory()) as runner,
        ):
            run = _Run(options, display, metrics, until_reported)
            summary = runner.run(run.whole(base_url, token))
        if summary.error is not None:
            say(f"leadconnector: {summary.error}", err=True)
        if options.as_json:
            report_lines.print_json(summary)
        elif summary.error is None or summary.staged or summary.requests:
            say(report_lines.report_lines(summary, options))
        return exit_code(summary)


def _within_open_files(options: ImportOptions) -> ImportOptions:
    """Bound the requests in flight to what the limit on open files has room for, and say so."""
    listed = 1 if options.locations is None else len(options.locations.locations)
    wanted = options.concurrency or max_workers(listed)
    # A location that only records name brings workers of its own, unless the user bounds them.
    most = options.concurrency or MAX_WORKERS
    room = room_for(most, each=2 if options.sandbox else 1)
    if room == most:
        return options
    if room < wanted and not options.quiet:
        most_now = f"Note: {counted(room, 'request')} in flight at most, instead of {wanted:,}"
        say(f"{most_now}: the limit on open files (ulimit -n) has no room for more", err=True)
    return replace(options, concurrency=min(room, wanted))


def exit_code(summary: ImportSummary) -> Exit:
    """The code of an import that got as far as a report."""
    if summary.ended in ("done", "staged") and (summary.failed or summary.unresolved):
        return Exit.FAILED
    return _CODES.get(summary.ended, Exit.DONE)


@dataclass(eq=False, repr=False)
class _Run:
    """One import by the command."""

    options: ImportOptions
    display: NoDisplay | BarDisplay
    metrics: Metrics
    until_reported: ExitStack

    async def whole(self, base_url: str, token: str | TokenProvider) -> ImportSummary:
        """Import from the sources' check to the summary."""
        options, path = self.options, self.options.outbox or ""
        async with (
            options.sending_client(token, base_url, options.location) as api,
            options.source_client() or nullcontext(api) as origin,
        ):
            return await import_with(
                self.drive,
                partial(
                    Importer,
                    api.session,
                    concurrency=options.concurrency,
                    location=options.location,
                    providers=providers_of(options.provider, options.locations),
                    piece=options.piece,
                    origin=origin,
                    measured=options.metrics is not None,
                ),
                SourceReader(options.sources, await reading_options(options.source, path)),
                outbox=path,
                destination=destination(options),
            )

    async def drive(self, importer: Importer) -> Ending:
        """Run the importer to its end, or until signals stop it."""
        if importer.statistics is not None:
            self.metrics.read = importer.statistics.read
        task = asyncio.create_task(self._work(importer))
        watching = asyncio.create_task(self._watch(importer))

        def finish() -> None:
            importer.stop()
            say("Finishing what is in flight. Ctrl-C again stops at once.", err=True)

        signals = self.until_reported.enter_context(  # one that comes late takes no report away
            Signals(importer.reader, finish=finish, stop_now=task.cancel)
        )
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            watching.cancel()
            await asyncio.wait([task, watching])
            self.display.close()
        ending = _ending(task, importer, interrupted=signals.count > 0)
        is_staged = self.options.stage_only and ending.ended == "done"
        return Ending(ended="staged") if is_staged else ending

    async def _work(self, importer: Importer) -> None:
        options = self.options
        if not (options.sandbox or options.quiet or options.stage_only):
            say(report_lines.AUTOMATIONS, err=True)
        await importer.stage()
        if not options.quiet:  # before the sending, which may take days
            _tell_notes(importer.reader, importer.stager)
            if options.sandbox and (known := await taken_as_known(options)):
                say(f"Note: {known}", err=True)
        if not options.stage_only:
            await importer.send()

    async def _watch(self, importer: Importer) -> None:
        now = asyncio.get_running_loop().time
        took = 0.0
        while True:
            await asyncio.sleep(max(self.display.interval, _SHOWN_FOR * took))
            began = now()
            self.display.show(importer.snapshot(), began)
            took = now() - began


def _tell_notes(reader: SourceReader, stager: Stager) -> None:
    for note in (*reader.warnings, *report_lines.note_lines(stager.notes)):
        say(f"Note: {note}", err=True)


def _ending(task: asyncio.Task[None], importer: Importer, *, interrupted: bool) -> Ending:
    """How the run ended; an error that stopped it goes before an interruption."""
    error = None if task.cancelled() else task.exception()
    stopped = importer.ending().stopped
    if isinstance(error, LeadConnectorError):  # the day of a location that is a source can be spent
        ended: Ended = "day_spent" if isinstance(error, DailyQuotaSpentError) else "error"
        return Ending(ended=ended, error=str(error), stopped=stopped)
    if error is not None:
        raise error
    return Ending(ended="interrupted", stopped=stopped) if interrupted else importer.ending()


def loop_factory() -> Any:  # noqa: ANN401 - uvloop has no type for it
    """Uvloop's loop where it is installed, else asyncio's own.

    Before 0.23 uvloop kept what was written until its turn ended: a process that was stopped there
    sent it when it went on, after the lease whose deadline it had checked before.
    """
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    said: str = uvloop.__version__  # type: ignore[attr-defined] # which its stubs leave out
    writes_at_once = tuple(map(int, said.split(".")[:2])) >= (0, 23)
    return uvloop.new_event_loop if writes_at_once else None


def plan(options: ImportOptions) -> Exit:
    """Say what an import would do, and how long it would take.

    It works on a copy of the outbox, which is gone afterwards.

    Raises:
        LeadConnectorError: a source, or the outbox that exists, cannot be read.
    """
    summary = asyncio.run(_plan(options))
    if options.as_json:
        report_lines.print_json(summary)
    else:
        say(report_lines.plan_lines(summary, options))
    if any(location.error for location in summary.locations):
        return Exit.ERROR
    return Exit.FAILED if summary.failed or summary.unresolved else Exit.DONE


async def _plan(options: ImportOptions) -> ImportSummary:
    started = time.monotonic()
    reader = SourceReader(options.sources, await options.rehearsing())
    reader.check()
    stats = RunStats()
    async with rehearsal(options.outbox) as outbox:
        await outbox.dedicate(destination(options), name=shown_place(options.outbox or "") or None)
        providers = providers_of(options.provider, options.locations)
        stager = Stager(outbox, stats, location=options.location, providers=providers)
        await stager.read(reader)
        await outbox.publish()
        await outbox.select(options.piece.selection)
        async with await outbox.reader() as kept:
            plans = [plan async for plan in _plans(kept, options)]
            status = await status_of(kept)
    places = [plan.location for plan in plans]
    stopped = {} if options.locations is None else options.locations.missing(places)
    for reason in stopped.values():
        say(f"leadconnector: {reason}", err=True)
    if not options.quiet:
        _tell_notes(reader, stager)
    summary = summary_of(
        stats,
        status,
        Ending(ended="planned", stopped=stopped),
        notices=stager.notes.notices,
        elapsed_s=time.monotonic() - started,
        outbox=shown_place(options.outbox or ""),
    )
    return replace(
        summary,
        plan=plans,
        estimate_s=max((plan.estimate_s for plan in plans), default=0.0),
        estimate_most_s=max((plan.estimate_most_s for plan in plans), default=0.0),
    )


async def _plans(reader: OutboxReader, options: ImportOptions) -> AsyncIterator[LocationPlan]:
    limit, limits, share = options.limit, options.limits(), options.policy.share
    snapshots, now_ms = await reader.quotas(), time.time_ns() // 1_000_000
    marks = await reader.lanes() if options.policy.mark_read else {}
    for location, work in (await workload(reader)).items():
        budget = budget_after(limits.get(location, limit), snapshots.get(location), now_ms, share)
        least, most = requests_for(work, options.policy.contacts, marks.get(location, 0))
        yield LocationPlan(
            location=location,
            records=work.records,
            contacts=work.contacts,
            files=work.files,
            conversations=work.conversations,
            requests_least=least,
            requests_most=most,
            estimate_s=round(seconds_needed(least, budget), 1),
            estimate_most_s=round(seconds_needed(most, budget), 1),
        )


RESERVE: Final = 48
"""Descriptors for all but the connections: the outbox and its log, sources, attachments, the loop,
the standard streams."""


def room_for(concurrency: int, *, each: int = 1) -> int:
    """Make room for so many requests, which take ``each`` descriptors apiece, and say for how many.

    The soft limit is raised as far as the hard one allows. Where the system has no such limit
    (Windows), there is room for all.
    """
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return concurrency
    needed = RESERVE + concurrency * each
    endless = resource.RLIM_INFINITY
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != endless and soft < needed:
        wanted = needed if hard == endless else min(needed, hard)
        with suppress(ValueError, OSError):  # some systems have a lower limit than they tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return concurrency if soft == endless or soft >= needed else max(1, (soft - RESERVE) // each)
