"""``leadconnector status``: where an import stands."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import click
from msgspec.structs import asdict, replace

from leadconnector_async.cli import report_lines
from leadconnector_async.cli.format import by_quota, counted, duration, moment, rate, say
from leadconnector_async.cli.options import options_of
from leadconnector_async.cli.progress_display import live_lines, run_waiting
from leadconnector_async.errors import OutboxError
from leadconnector_async.outbox.open import is_url, read_outbox, shown_place
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.reports.outbox_status import OutboxStatus, status_of
from leadconnector_async.reports.progress import budget_after, slowest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leadconnector_async.outbox.outbox_reader import OutboxReader


WATCH_S: Final = 2.0
"""Seconds between two looks."""


@click.command("status")
@options_of("outbox.outbox", "sending.share", "status", "output.json")
def command(
    outbox: str, *, share: float, run_for: float | None, watch: bool, as_json: bool
) -> None:
    """Say how many records are sent, failed and pending, how fast it goes, and how long it takes.

    It only reads, and may be asked while an import runs. The time is by the documented quota, or
    the share of it that imports use. Of a database it names the processes that send, and what each
    owns. With --watch, --json prints an object per line, and Ctrl-C is the usual end (exit status
    0).
    """
    pace = _Pace(share, run_for)
    if not watch:
        status, estimate = run_waiting("Counting", read_outbox(outbox, pace.read))
        if as_json:
            _print_json(outbox, status, estimate)
        else:
            say(_lines(outbox, status, pace.lines(estimate)))
        return
    with suppress(KeyboardInterrupt), nullcontext() if as_json else live_lines() as show:
        _watch(outbox, pace, show)


def _watch(outbox: str, pace: _Pace, show: Callable[[str], None] | None) -> None:
    """Look again and again. What fails after the first look may pass, as a restart does."""
    seen = False
    while True:
        try:
            status, estimate = asyncio.run(read_outbox(outbox, pace.read))
        except OutboxError as error:
            if not seen:
                raise
            say(f"leadconnector: {error}", err=True)
        else:
            seen = True
            if show is None:
                _print_json(outbox, status, estimate)
            else:
                show("\n".join([*_lines(outbox, status, pace.lines(estimate)), ""]))
        time.sleep(WATCH_S)


def _print_json(outbox: str, status: OutboxStatus, estimate: float) -> None:
    fields = {"estimate_s": round(estimate, 1), "outbox": shown_place(outbox)}
    report_lines.print_json(asdict(status) | fields)


class _Pace(NamedTuple):
    """How imports go on: the share of the quota, and the seconds of each run."""

    share: float
    run_for: float | None

    async def read(self, reader: OutboxReader) -> tuple[OutboxStatus, float]:
        """Estimate by the documented rate, which is not kept, and what is known of the days."""
        status, snapshots = await status_of(reader), await reader.quotas()
        now_ms = time.time_ns() // 1_000_000
        limit, share = RateLimit(), self.share
        return status, slowest(
            (of.pending, budget_after(limit, snapshots.get(of.location), now_ms, share))
            for of in status.locations
        )

    def lines(self, estimate: float) -> str:
        """Say how long what is pending takes, and in how many runs."""
        each = self.run_for or math.inf
        meant = by_quota("the quota of 100 per 10 s", self.share, estimate, each)
        return f"What is pending takes {duration(estimate)} {meant}"


def _lines(outbox: str, status: OutboxStatus, time_left: str) -> Iterator[str]:
    later = f"{status.later:,} of them left for later: the last import did not select them"
    remarks = {"copies": report_lines.told_of_copies(status)}
    remarks |= {"pending": later} if status.later else {}
    yield from report_lines.figures("status", asdict(status), **remarks)
    yield ""
    yield f"All runs together: {status.account.text}."
    if status.rate:
        yield f"Sent in the last minute: {rate(status.rate)}."
    if status.pending:
        yield time_left
    elif status.sent and not (status.failed or status.unresolved):
        yield "Everything is sent."
    stops = [(of.stopped_at, of) for of in status.locations if of.stopped_at is not None]
    for at, of in stops[: report_lines.MAX_LOCATIONS]:  # whoever sends
        yield f"Location {of.location} stopped, {moment(at)}: {of.error}"
    if is_url(outbox):
        yield from _worker_lines(status)
    yield from report_lines.location_lines([replace(of, error=None) for of in status.locations])
    yield from report_lines.reason_sections(status)


def _worker_lines(status: OutboxStatus) -> Iterator[str]:
    """A table of those who send from a database: any of them may be on another machine."""
    if status.workers:
        width = max(len("process"), *(len(of.worker) for of in status.workers))
        yield ""
        heads = "".join(f"{head:>11}" for head in ("locations", "pending", "rate"))
        yield f"  {'process':<{width}}  {'id':<12}{heads}  left"
    for of in status.workers:
        left = duration(of.estimate_s) if of.pending else ""
        row = f"  {of.worker:<{width}}  {of.id:<12}{of.locations:>11,}{of.pending:>11,}"
        yield f"{row}{rate(of.rate):>11}  {left}".rstrip()
    owned = sum(of.locations_left for of in status.workers)
    if (free := sum(of.pending > of.later for of in status.locations) - owned) > 0:
        yield ""
        where = counted(free, "location")
        yield f"Nobody sends what is pending in {where}: start leadconnector worker."
