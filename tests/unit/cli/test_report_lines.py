from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from click import Context

from leadconnector_async.cli.app import app
from leadconnector_async.cli.format import USUAL
from leadconnector_async.cli.options import obey_output_options
from leadconnector_async.cli.report_lines import (
    MAX_LOCATIONS,
    MAX_REASONS,
    location_lines,
    reason_lines,
    reason_sections,
)
from leadconnector_async.reports.outbox_status import LocationCounts, Reason, StatedOutbox, Tallied

if TYPE_CHECKING:
    import pytest


def stated(*reasons: Reason) -> StatedOutbox:
    """An outbox of which nothing else is known."""
    account = Tallied(read=0, copies=0)
    return StatedOutbox(by_reason=[*reasons], locations=[], account=account, list_format="csv")


def test_what_failed_and_what_is_unresolved_stand_apart() -> None:
    """Each under its heading, where there is any."""
    failed = Reason("failed", "422 no", 1_234, ["a.csv:1", "a.csv:2"])
    unresolved = Reason("unresolved", "may have been stored", 1, [])
    assert list(reason_sections(stated(failed, unresolved))) == [
        "",
        "Failed:",
        "      1,234  422 no",
        "             a.csv:1, 2, …",
        "",
        "Unresolved:",
        "          1  may have been stored",
    ]
    assert list(reason_sections(stated())) == []


def test_long_reasons_are_wrapped_and_many_are_summed_up() -> None:
    """A report fits on a screen."""
    reasons = [Reason("failed", "because " * 30, 2, []) for _ in range(MAX_REASONS + 3)]
    lines = list(reason_lines(reasons))
    assert max(map(len, lines)) <= USUAL
    assert lines[-1] == "          6  for 3 other reasons"


def test_locations_with_most_to_do_come_first() -> None:
    """With the reason why one could not go on; an agency's thousand are summed up."""
    locations = [
        LocationCounts(location=f"l{n}", sent=n, failed=0, unresolved=0, pending=n)
        for n in range(MAX_LOCATIONS + 5)
    ]
    locations[3] = LocationCounts(
        location="l3", sent=3, failed=0, unresolved=0, pending=5_000, error="401 Invalid token"
    )
    lines = list(location_lines(locations))
    assert lines[2].split() == ["l3", "3", "0", "0", "5,000"]
    assert lines[3].strip() == "401 Invalid token"
    assert lines[-1] == "  and 5 more"


def test_rare_events_are_shown_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library logs without a handler; --verbose adds one, which ends nothing without reader."""

    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    logger = logging.getLogger("leadconnector_async")
    before = logger.handlers[:]
    obey_output_options(Context(app), {"no_color": False, "verbose": True})
    logging.getLogger("leadconnector_async.delivery").info("something rare")
    monkeypatch.setattr("click.echo", gone)
    logging.getLogger("leadconnector_async.delivery").info("another")
    for handler in set(logger.handlers) - set(before):
        logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "something rare\n")
