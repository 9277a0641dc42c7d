"""What ``leadconnector status`` does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from leadconnector_async._importing.estimate import budget_after, slowest
from leadconnector_async._importing.standing import standing_of
from leadconnector_async._outbox.ledger import Ledger
from leadconnector_async._quota import RateLimit
from leadconnector_async.cli._prose import say
from leadconnector_async.cli._report import (
    account_line,
    all_reasons,
    copies_remark,
    figures,
    location_lines,
    print_json,
    reason_sections,
)
from leadconnector_async.cli._words import duration, rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async._importing.standing import Standing


def status(outbox: str, *, as_json: bool) -> None:
    """Print what stands in the outbox.

    Raises:
        OutboxError: it does not exist, or cannot be read.
    """
    standing = standing_of(outbox)
    estimate = _estimate(outbox, standing)
    if as_json:
        fields = asdict(standing)
        fields["estimate_s"] = round(estimate, 1)
        fields["outbox"] = outbox
        print_json(fields)
        return
    for line in _lines(standing, estimate):
        say(line)


def _estimate(outbox: str, standing: Standing) -> float:
    """By the documented rate, and by what is known of the days: the rate is not kept."""
    with Ledger(outbox) as ledger:
        spends = ledger.spends()
    now_ms = time.time_ns() // 1_000_000
    return slowest(
        (of.pending, budget_after(RateLimit(), spends.get(of.location), now_ms))
        for of in standing.locations
    )


def _others(standing: Standing) -> Iterator[tuple[str, int, str]]:
    """What was not to be sent, where there is any."""
    if standing.copies:
        yield "copies", standing.copies, copies_remark(standing)
    if standing.left_out:
        yield "left out", standing.left_out, ""
    if standing.dismissed:
        yield "dismissed", standing.dismissed, "given up after they had failed"


def _lines(standing: Standing, estimate: float) -> Iterator[str]:
    yield from figures(
        [
            ("sent", standing.sent, ""),
            ("failed", standing.failed, ""),
            ("unresolved", standing.unresolved, "may be stored, or not"),
            ("pending", standing.pending, ""),
            *_others(standing),
        ]
    )
    yield ""
    yield account_line(standing.account)
    if standing.rate:
        yield f"Sent in the last minute: {rate(standing.rate)}."
    if standing.pending:
        yield f"What is pending takes {duration(estimate)} at least, by the quota of 100 per 10 s."
    elif not (standing.failed or standing.unresolved):
        yield "Everything is sent."
    yield from location_lines(standing.locations)
    yield from reason_sections(all_reasons(standing))
