"""``leadconnector status``: where an import stands."""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial
from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict

from leadconnector_async.cli.format import counted, duration, rate, say
from leadconnector_async.cli.options import json_option, outbox_option
from leadconnector_async.cli.report_lines import (
    all_reasons,
    all_runs_line,
    copies_remark,
    figures,
    location_lines,
    print_json,
    reason_sections,
)
from leadconnector_async.cli.sending_options import for_option, share_option
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
@share_option
@for_option
@json_option
def command(outbox: str, *, share: float, run_for: float | None, as_json: bool) -> None:
    """Say how many records are sent, failed and pending, how fast it goes, and how long it takes.

    It only reads, and may be asked while an import runs. The time is by the documented quota, or
    the share of it that imports are to use.
    """
    status, estimate = asyncio.run(read_outbox(outbox, partial(_read, share=share)))
    if as_json:
        fields = asdict(status)
        fields["estimate_s"] = round(estimate, 1)
        fields["outbox"] = shown_place(outbox)
        print_json(fields)
        return
    for line in _lines(status, estimate, share, run_for):
        say(line)


async def _read(reader: OutboxReader, share: float) -> tuple[OutboxStatus, float]:
    """The estimate is by the documented rate, which is not kept, and what is known of the days."""
    status, snapshots = await status_of(reader), await reader.quotas()
    now_ms = time.time_ns() // 1_000_000
    return status, slowest(
        (of.pending, budget_after(RateLimit(), snapshots.get(of.location), now_ms, share))
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


def _lines(
    status: OutboxStatus, estimate: float, share: float, run_for: float | None
) -> Iterator[str]:
    later = f"{status.later:,} of them left for later, since the last import did not select them"
    yield from figures(
        [
            ("sent", status.sent, ""),
            ("failed", status.failed, ""),
            ("unresolved", status.unresolved, "may be stored, or not"),
            ("pending", status.pending, later if status.later else ""),
            *_others(status),
        ]
    )
    yield ""
    yield all_runs_line(status.account)
    if status.rate:
        yield f"Sent in the last minute: {rate(status.rate)}."
    if status.pending:
        part = "" if share == 1 else f"{share * 100:g} % of "
        quota = f"{part}the quota of 100 per 10 s"
        yield f"What is pending takes {duration(estimate)} at least, by {quota}."
        if run_for is not None:
            count = math.ceil(estimate / run_for)
            yield f"That is {counted(count, 'run')} of {duration(run_for)}."
    elif not (status.failed or status.unresolved):
        yield "Everything is sent."
    yield from location_lines(status.locations)
    yield from reason_sections(all_reasons(status))
