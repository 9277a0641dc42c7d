"""The import of files in one call, for programs."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import date, tzinfo
from functools import partial
from inspect import isawaitable
from math import inf
from os import PathLike, fspath
from threading import current_thread, main_thread
from types import FrameType
from typing import Final, Self
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from leadconnector_async.arguments import AtLeastOne, MoreThanZero, NotNegative, check
from leadconnector_async.cancellation import cancelled_once, cut_off
from leadconnector_async.client import LeadConnector
from leadconnector_async.errors import CLOSED, ClosedError, DailyQuotaSpentError
from leadconnector_async.importer import Importer, Piece, import_with, reading_options
from leadconnector_async.outbox.selection import selection_of
from leadconnector_async.policy import ContactMode
from leadconnector_async.records.validation import NEED_PROVIDER
from leadconnector_async.reports.progress import ImportProgress
from leadconnector_async.reports.statistics import Statistics, StatisticsReporter
from leadconnector_async.reports.summary import Ending, ImportSummary
from leadconnector_async.sources import SourceOptions, read_people
from leadconnector_async.sources.batch_reader import ReadingInterruptedError, SourceReader


async def import_files(  # noqa: PLR0913 - all but three have defaults
    api: LeadConnector,
    sources: Iterable[str | PathLike[str]],
    *,
    outbox: str | PathLike[str],
    mapping: Mapping[str, str] | str | PathLike[str] | None = None,
    timezone: ZoneInfo | str | None = None,
    region: str | None = None,
    mine: Iterable[str] | None = None,
    contacts: ContactMode | None = None,
    provider: str | None = None,
    people: str | PathLike[str] | None = None,
    options: SourceOptions = SourceOptions(),  # noqa: B008 - frozen
    source_api: LeadConnector | None = None,
    limit: int | None = None,
    limit_conversations: int | None = None,
    since: str | date | None = None,
    until: str | date | None = None,
    only: Iterable[str] = (),
    run_for: float | None = None,
    share: float | None = None,
    mark_read: bool | None = None,
    concurrency: int | None = None,
    on_progress: Callable[[ImportProgress], object] | None = None,
    every: float = 1.0,
    handle_signals: bool = False,
    on_stats: Callable[[Statistics], object] | None = None,
    stats_every: float = 5.0,
) -> ImportSummary:
    """Import files, as ``leadconnector import`` does: stage all, send, sum up.

    The same call again goes on where the last one ended, the command's included: nothing is sent
    twice. When the call is cancelled, what is known is settled.
    Reading a file holds the event loop for up to some tenths of a second at a time.

    Args:
        api: the client. Records that name no location belong to its ``location_id``.
        sources: paths of files, folders or zip archives; ``-`` is standard input, and
            ``leadconnector:ID`` another location. Of an empty list, what is pending in the outbox
            is sent alone.
        outbox: path of the file that keeps what became of each record, or the URL of a database:
            ``postgresql://USER@HOST/DATABASE?schema=NAME``.
        mapping: field to column; or the name or path of a mapping of another system's export.
        timezone: of dates without an offset, such as ``America/New_York``.
        region: the country of telephone numbers without a country code, such as ``US``.
        mine: the owner's own addresses, or ``@domain``; they tell sent mails from received ones.
        contacts: see `Policy.contacts`; by default as the client's policy says.
        provider: the conversation provider of calls and custom messages that name none.
        people: a file of contacts, which tells whose numbers and addresses are whose.
        options: further ways to read the sources. What is given by name goes before them.
        source_api: the client that reads locations which are sources, where ``api`` has no token
            of theirs.
        limit: send the first so many messages alone, by their dates, over all runs. What is left
            for later is sent by the same call without this and the next four.
        limit_conversations: the messages of the first so many conversations alone; with 0, the
            whole conversations of the messages that ``limit`` takes.
        since: messages from this day or moment on alone, such as ``2024-01-31``.
        until: messages up to the end of this day, or before this moment, alone.
        only: messages of these types, contacts, numbers and addresses alone.
        run_for: seconds after which nothing more is begun.
        share: the part of each location's quota to use, such as 0.5; by default as the policy says.
        mark_read: set each conversation's unread count to 0 once its last message is settled,
            unless it was unread before; by default as the policy says.
        concurrency: requests in flight at most; by default as many as the locations can use.
        on_progress: called every ``every`` seconds, and at the end; what it returns is awaited if
            it can be, as of a coroutine function. What it raises ends the import.
        every: seconds between two calls of ``on_progress``.
        handle_signals: end on Ctrl-C and SIGTERM as the command does: the first finishes what is in
            flight, the second stops at once. By default, signals are the program's own. In the main
            thread alone.
        on_stats: see `Ingestor`.
        stats_every: seconds between two calls of ``on_stats``.

    Returns:
        The counts. Records that failed are in them. So is a location that stopped before its end,
        with the reason, while others went on, or where the day's quota is spent.

    Raises:
        TypeError: ``sources``, ``mine`` or ``only`` is one text: give a list. Or something is of a
            type that it cannot be.
        SourceError: a source cannot be read; nothing was sent.
        SelectionError: no record meets something of ``only``; nothing was sent.
        ValueError: nothing can be selected so; or ``every`` or ``stats_every`` is not more than 0,
            or ``run_for`` less. Or the outbox is no file, or ``concurrency`` less than 1; or
            signals are to be handled in another thread than the main one.
        OutboxError: the outbox cannot be used, or belongs to an import into another API.
        AccessError, ThrottledError: no location could go on.
        NotSentError: the API was out of reach for longer than the policy's patience.
        ClosedError: the client was closed before.
        ZoneInfoNotFoundError: there is no such time zone.

    Example:
        >>> async with LeadConnector(token, location_id="ve9EPM428h8vShlRW1KT") as api:
        ...     summary = await import_files(api, ["history.csv"], outbox="import.db", region="US")
        ...     print(summary.sent, summary.failed, summary.by_reason)
    """
    check({"api": api}, LeadConnector)
    check({"every": every, "stats_every": stats_every}, MoreThanZero)
    check({"run_for": run_for}, NotNegative | None)
    check({"concurrency": concurrency}, AtLeastOne | None)
    check({"region": region, "provider": provider}, str | None)
    if api.closed:
        raise ClosedError(CLOSED)
    for name, several in {"sources": sources, "mine": mine, "only": only}.items():
        # Of a text, each of its letters would be one.
        if isinstance(several, str | bytes | PathLike) or not isinstance(several, Iterable | None):
            raise TypeError(f"{name} is a {type(several).__name__}: give a list")
    if handle_signals and current_thread() is not main_thread():
        raise ValueError("signals are handled in the main thread alone: leave handle_signals out")
    path = fspath(outbox or "")
    if path in ("", ":memory:"):
        raise ValueError("the outbox is no file: give its path")
    options = _reading(options, mapping, timezone=timezone, region=region, mine=mine, people=people)
    changes = {"contacts": contacts, "share": share, "mark_read": mark_read}
    policy = replace(api.policy, **{name: v for name, v in changes.items() if v is not None})
    selection = selection_of(
        limit=limit,
        limit_conversations=limit_conversations,
        since=since,
        until=until,
        only=only,
        timezone=options.timezone,
        region=options.region,
    )
    providers = dict.fromkeys(NEED_PROVIDER, provider) if provider else {}
    importing = import_with(
        _Driver(on_progress or (lambda _: None), every, handle_signals, on_stats, stats_every).run,
        partial(
            Importer,
            api.session.under(policy=policy),
            concurrency=concurrency,
            location=api.location_id,
            providers=lambda _: providers,
            origin=source_api or api,
            piece=Piece(selection, inf if run_for is None else run_for),
            measured=on_stats is not None,
        ),
        SourceReader([fspath(source) for source in sources], await reading_options(options, path)),
        outbox=path,
        destination=api.base_url.rstrip("/"),
    )
    return await cancelled_once(importing)


def _reading(
    options: SourceOptions,
    mapping: Mapping[str, str] | str | PathLike[str] | None,
    *,
    mine: Iterable[str] | None,
    people: str | PathLike[str] | None,
    **given: object,
) -> SourceOptions:
    """How to read: what is given goes before ``options``."""
    if isinstance(zone := given["timezone"], str):
        given["timezone"] = ZoneInfo(zone)
    check({"timezone": given["timezone"]}, tzinfo | None)  # as datetime.UTC, which works
    if isinstance(mapping, Mapping):
        given["mapping"] = mapping
    elif mapping is not None:
        given["mapping_file"] = fspath(mapping)
    if mine is not None:
        given["mine"] = tuple(mine)
    options = replace(options, **{name: v for name, v in given.items() if v is not None})
    if people is None:
        return options
    return replace(options, people=read_people([fspath(people)], options))


@dataclass(eq=False, repr=False)
class _Driver:
    """Runs an importer for a program; see `import_files`."""

    _on_progress: Callable[[ImportProgress], object]
    _every: float
    _handle_signals: bool
    _on_stats: Callable[[Statistics], object] | None
    _stats_every: float

    async def run(self, importer: Importer) -> Ending:
        """Run it to its end, or until signals stop it, and tell how far it is."""
        running = asyncio.create_task(importer.run())
        signals = Signals(importer.reader, finish=importer.stop, stop_now=running.cancel)
        reporter = None
        if self._on_stats is not None and importer.statistics is not None:
            read = importer.statistics.snapshot
            reporter = StatisticsReporter(read, self._on_stats, self._stats_every)
            reporter.start()
        try:
            with signals if self._handle_signals else nullcontext():
                while not (await asyncio.wait([running], timeout=self._every))[0]:
                    await self._tell(importer)
        finally:
            try:
                await cut_off(running)
            finally:
                if reporter is not None:
                    await reporter.close()
        if not (running.cancelled() and signals.count):
            running.result()
        await self._tell(importer)
        if signals.count:
            return Ending(ended="interrupted", stopped=importer.ending().stopped)
        errors = importer.sending.errors.values()
        if len(errors) == len(importer.left):
            for error in errors:
                if not isinstance(error, DailyQuotaSpentError):
                    raise error
        return importer.ending()

    async def _tell(self, importer: Importer) -> None:
        if isawaitable(answer := self._on_progress(importer.snapshot())):
            await answer


STOPPING_S: Final = 1.0
"""Seconds that stopping at once is given: a supervisor may send several signals as one."""


class Signals:
    """Handles signals while the block runs; use it in the main thread, inside the loop.

    The first calls ``finish``, the second ``stop_now``, one `STOPPING_S` later kills: what is in
    flight then is looked for by the next run. While ``reader`` reads, a signal breaks into it.
    """

    def __init__(
        self, reader: SourceReader, *, finish: Callable[[], object], stop_now: Callable[[], object]
    ) -> None:
        self._reader = reader
        self._finish = finish
        self._stop_now = stop_now
        self._loop = asyncio.get_running_loop()
        self.count: int = 0

    def __enter__(self) -> Self:
        # Not loop.add_signal_handler: a loop that waits for a pipe would never call it.
        caught = (signal.SIGINT, signal.SIGTERM)
        self._former = {number: signal.signal(number, self._handle) for number in caught}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        self._reader.stop()
        if self.count == 2:  # noqa: PLR2004 - the second
            self._kill_at = time.monotonic() + STOPPING_S
        elif self.count > 1 and time.monotonic() >= self._kill_at:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        with suppress(RuntimeError):  # the loop has ended: it is too late to stop
            self._loop.call_soon_threadsafe(self._finish if self.count == 1 else self._stop_now)
        if self._reader.reading:
            raise ReadingInterruptedError
