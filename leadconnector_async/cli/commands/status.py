"""``leadconnector status``: where an import stands."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict, replace

from leadconnector_async.cli.format import duration, rate, say
from leadconnector_async.cli.options import json_option, outbox_option
from leadconnector_async.cli.report_lines import (
    MAX_LOCATIONS,
    all_reasons,
    all_runs_line,
    copies_remark,
    figures,
    location_lines,
    print_json,
    reason_sections,
)
from leadconnector_async.outbox.open import read_outbox, shown_place
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.reports.estimate import budget_after, slowest
from leadconnector_async.reports.summary import status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.outbox.reader import OutboxReader
    from leadconnector_async.reports.summary import OutboxStatus


@click.command("status")
@outbox_option
@json_option
def command(outbox: str, *, as_json: bool) -> None:
    """Say how many records are sent, failed and pending, how fast it goes, and how long it takes.

    It only reads, and may be asked while an import runs. The time is by the documented quota.
    """
    status, estimate = asyncio.run(read_outbox(outbox, _read))
    if as_json:
        fields = asdict(status)
        fields["estimate_s"] = round(estimate, 1)
        fields["outbox"] = shown_place(outbox)
        print_json(fields)
        return
    for line in _lines(status, estimate):
        say(line)


async def _read(reader: OutboxReader) -> tuple[OutboxStatus, float]:
    """The estimate is by the documented rate, which is not kept, and what is known of the days."""
    status, snapshots = await status_of(reader), await reader.quotas()
    now_ms = time.time_ns() // 1_000_000
    return status, slowest(
        (of.pending, budget_after(RateLimit(), snapshots.get(of.location), now_ms))
        for of in status.locations
    )


def _others(status: OutboxStatus) -> Iterator[tuple[str, int, str]]:
    """What was not to be sent, where there is any."""
    if status.copies:
        yield "copies", status.copies, copies_remark(status)
    if status.left_out:
        yield "left out", status.left_out, ""
    if status.dismissed:
        yield "dismissed", status.dismissed, "given up after they had failed"


def _stopped(status: OutboxStatus) -> Iterator[str]:
    """Say what does not go on, whoever sends."""
    stops = [(of.stopped_at, of) for of in status.locations if of.stopped_at is not None]
    for at, of in stops[:MAX_LOCATIONS]:
        since = datetime.fromtimestamp(at / 1000, UTC)
        yield f"Location {of.location} stopped, {since:%Y-%m-%d %H:%M:%S} UTC: {of.error}"


def _lines(status: OutboxStatus, estimate: float) -> Iterator[str]:
    yield from figures(
        [
            ("sent", status.sent, ""),
            ("failed", status.failed, ""),
            ("unresolved", status.unresolved, "may be stored, or not"),
            ("pending", status.pending, ""),
            *_others(status),
        ]
    )
    yield ""
    yield all_runs_line(status.account)
    if status.rate:
        yield f"Sent in the last minute: {rate(status.rate)}."
    if status.pending:
        yield f"What is pending takes {duration(estimate)} at least, by the quota of 100 per 10 s."
    elif not (status.failed or status.unresolved):
        yield "Everything is sent."
    yield from _stopped(status)
    yield from location_lines([replace(of, error=None) for of in status.locations])
    yield from reason_sections(all_reasons(status))
