"""What ``leadconnector import`` does: put the parts together, watch, stop on signals, report."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from leadconnector_async.cli.commands.dry_run import plan
from leadconnector_async.cli.exit_codes import Exit
from leadconnector_async.cli.file_descriptors import room_for
from leadconnector_async.cli.format import counted, say
from leadconnector_async.cli.import_report import AUTOMATIONS, report_lines
from leadconnector_async.cli.progress_display import choose_display
from leadconnector_async.cli.report_lines import note_lines, print_json
from leadconnector_async.cli.signals import Signals
from leadconnector_async.cli.target import client, destination, taken_as_known, target
from leadconnector_async.delivery.workers import MAX_WORKERS, max_workers
from leadconnector_async.errors import LeadConnectorError
from leadconnector_async.importer import import_with, reading_options
from leadconnector_async.reports.summary import Ended, Ending, ImportSummary
from leadconnector_async.sources.batch_reader import SourceReader

if TYPE_CHECKING:
    from leadconnector_async.cli.import_options import ImportOptions
    from leadconnector_async.cli.progress_display import Display
    from leadconnector_async.cli.target import ApiTarget
    from leadconnector_async.importer import Importer

_CODES: Final[dict[Ended, Exit]] = {
    "done": Exit.DONE,
    "error": Exit.ERROR,
    "day_spent": Exit.DAY_SPENT,
    "interrupted": Exit.INTERRUPTED,
    "planned": Exit.DONE,
}


def run(options: ImportOptions, *, color: bool) -> Exit:
    """Import, print the report, and say how it ended.

    Raises:
        LeadConnectorError: there is nothing to report: no source or no outbox could be opened.
    """
    if options.dry_run:
        return plan(options)
    display = choose_display(quiet=options.quiet, color=color)
    options = _within_open_files(options)
    with target(options) as at, asyncio.Runner(loop_factory=_loop_factory()) as runner:
        summary = runner.run(_Run(options, display).run(at))
    if summary.error is not None:
        say(f"leadconnector: {summary.error}", err=True)
    if options.as_json:
        print_json(summary)
    elif summary.error is None or summary.staged or summary.requests:
        for line in report_lines(summary, options):
            say(line)
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
        say(
            f"Note: {counted(room, 'request')} in flight at most, instead of {wanted:,}: the limit "
            "on open files (ulimit -n) has no room for more",
            err=True,
        )
    return replace(options, concurrency=min(room, wanted))


def exit_code(summary: ImportSummary) -> Exit:
    """The code of an import that got as far as a report."""
    if summary.ended == "done" and (summary.failed or summary.unresolved):
        return Exit.FAILED
    return _CODES[summary.ended]


class _Run:
    """One run of the importer in the loop, with its signals and its progress."""

    def __init__(self, options: ImportOptions, display: Display) -> None:
        self._options = options
        self._display = display

    async def run(self, at: ApiTarget) -> ImportSummary:
        """Import, and count what this run did."""
        options = self._options
        path = options.outbox or ""
        async with client(options, at) as api:
            return await import_with(
                self._drive,
                api.session,
                SourceReader(options.sources, await reading_options(options.source, path)),
                outbox=path,
                destination=destination(options),
                concurrency=options.concurrency,
                location=options.location,
                providers=options.providers,
            )

    async def _import(self, importer: Importer) -> None:
        options = self._options
        if not (options.sandbox or options.quiet):
            say(AUTOMATIONS, err=True)
        await importer.stage()
        if not options.quiet:  # before the sending, which may take days
            stager = importer.stager
            for note in (*importer.reader.warnings, *note_lines(stager.notes)):
                say(f"Note: {note}", err=True)
        if options.sandbox and not options.quiet:
            known = await taken_as_known(options, options.outbox or "")
            if known is not None:
                say(f"Note: {known}", err=True)
        await importer.send()

    async def _drive(self, importer: Importer) -> Ending:
        """Run the importer to its end, or until signals stop it."""
        task = asyncio.create_task(self._import(importer))
        watching = asyncio.create_task(self._watch(importer))

        def finish() -> None:
            importer.stop()
            say("Finishing what is in flight. Ctrl-C again stops at once.", err=True)

        try:
            with Signals(importer.reader, finish=finish, stop_now=task.cancel) as signals:
                await asyncio.wait([task])
        finally:
            task.cancel()
            watching.cancel()
            await asyncio.wait([task, watching])
            self._display.close()
        return _ending(task, importer, interrupted=signals.count > 0)

    async def _watch(self, importer: Importer) -> None:
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._display.interval)
            self._display.show(importer.snapshot(), now())


def _ending(task: asyncio.Task[None], importer: Importer, *, interrupted: bool) -> Ending:
    """How the run ended; an error that stopped it goes before an interruption."""
    error = None if task.cancelled() else task.exception()
    stopped = importer.ending().stopped
    if isinstance(error, LeadConnectorError):
        return Ending(ended="error", error=str(error), stopped=stopped)
    if error is not None:
        raise error
    return Ending(ended="interrupted", stopped=stopped) if interrupted else importer.ending()


def _loop_factory() -> Any:  # noqa: ANN401 - uvloop has no type for it
    """Uvloop's loop where it is installed, else asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    return uvloop.new_event_loop
