from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, sms, write_jsonl
from outbox_kit import run_apart

from leadconnector_async.cli.html_report.chart import (
    MAX_BARS,
    MAX_SERIES,
    binned,
    chart,
    series_of,
    ticks,
)
from leadconnector_async.cli.html_report.page import page
from leadconnector_async.cli.html_report.wording import headline, share
from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.open import read_outbox
from leadconnector_async.outbox.reader import ReasonGroup
from leadconnector_async.reports.history_report import (
    HistoryReport,
    StateCounts,
    Times,
    history_report_of,
    merged,
)
from leadconnector_async.sandbox import SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

VOID = {"meta", "rect", "path"}


class Checked(HTMLParser):
    """Sees that tags are balanced, and that nothing refers to anything outside."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: Counter[str] = Counter()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what opens."""
        self.seen[tag] += 1
        names = {name for name, _ in attrs}
        assert not names & {"src", "href", "xlink:href", "srcset", "action"}
        assert not any(name.startswith("on") for name in names)
        if tag not in VOID or (tag == "rect" and not self._is_closed()):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens and closes at once."""
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Closes what opened last."""
        assert self.open.pop() == tag

    def _is_closed(self) -> bool:
        return (self.get_starttag_text() or "").endswith("/>")


def history(reason: str, found: StateCounts) -> HistoryReport:
    """A report whose messages are all of one month."""
    return HistoryReport(
        counts=found,
        locations={"l1": (found, HistoryReport(times=Times(None, None, 0)).period)},
        kinds={("SMS", "inbound"): found},
        months={2024 * 12: Counter(SMS=found.total)},
        reasons=merged([ReasonGroup(State.REJECTED, reason, found.failed, [])], State.REJECTED),
        times=Times(0, 5_000, 10_000),
    )


@pytest.mark.parametrize(
    ("months", "length", "count"),
    [(1, 1, 1), (72, 1, 72), (73, 3, 25), (216, 3, 72), (240, 12, 20), (12 * 300, 60, 60)],
)
def test_bars_are_as_many_as_an_eye_can_follow(months: int, length: int, count: int) -> None:
    """Months, quarters, years; none of the messages is lost."""
    counts = {2000 * 12 + n: Counter(SMS=2) for n in range(months)}
    bins = binned(counts, dict.fromkeys(counts, 1))
    assert (bins[0].months, len(bins)) == (length, count)
    assert len(bins) <= MAX_BARS
    assert sum(found.types.total() for found in bins) == 2 * months
    assert sum(found.sent for found in bins) == months


def test_the_calendar_from_end_to_end_is_few_bars() -> None:
    """Dates that a broken export has made up."""
    bins = binned({2 * 12: Counter(SMS=1), 9998 * 12: Counter(SMS=1)}, {})
    assert len(bins) <= MAX_BARS
    assert not binned({}, {})


def test_an_axis_has_round_steps_up_to_the_highest_bar() -> None:
    """Also for one message, and for many."""
    assert ticks(1) == [0, 1]
    assert ticks(7) == [0, 2, 4, 6, 8]
    assert ticks(20_700) == [0, 5_000, 10_000, 15_000, 20_000, 25_000]
    assert all(n <= ticks(n)[-1] for n in range(1, 5_000))


def test_a_bar_has_a_piece_for_each_type_that_it_holds() -> None:
    """Rare types share one colour, so that the others can be told apart."""
    types = Counter({f"T{n}": 100 - n for n in range(12)})
    series = series_of(types)
    assert len(series) == MAX_SERIES
    pieces = chart(binned({24_000: types}, {}), series).pieces
    assert pieces[-1].hint == f"January 2000: {sum(range(89, 94))} 5 other types"
    assert [piece.hint for piece in pieces][:2] == ["January 2000: 100 T0", "January 2000: 99 T1"]
    assert len(pieces) == MAX_SERIES


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (StateCounts(), "Nothing has been imported yet."),
        (StateCounts(sent=1), "The one message is in LeadConnector."),
        (StateCounts(sent=1234), "All 1,234 messages are in LeadConnector."),
        (StateCounts(sent=12_300, failed=45), "12,300 of 12,345 messages are in LeadConnector."),
        (StateCounts(failed=2), "None of the 2 messages is in LeadConnector."),
        (StateCounts(pending=2), "None of the 2 messages is in LeadConnector yet."),
    ],
)
def test_the_classification_is_plain_and_true(counts: StateCounts, words: str) -> None:
    """Nothing is said to be there that is not known to be."""
    assert headline(counts) == words


def test_a_share_is_all_or_none_only_where_it_is() -> None:
    """A client whose message is missing must not read 100%."""
    assert [share(n, 1_000_000) for n in (0, 1, 500_000, 999_999, 1_000_000)] == [
        *("0%", "<0.1%", "50.0%", ">99.9%", "100%"),
    ]


def test_reasons_name_nobody() -> None:
    """What the API quotes of a contact is cut out, and reasons that then are equal are one."""
    texts = ["422 bad +1 202 555 0100", "422 bad +12025550199", "400 a@b.example, 2024-05-01T09:30"]
    found = merged([ReasonGroup(State.REJECTED, text, 1, []) for text in texts], State.REJECTED)
    assert [(why.reason, why.count) for why in found] == [
        ("422 bad …", 2),
        ("400 …, 2024-05-01T09:30", 1),
    ]


@pytest.mark.parametrize(
    "counts",
    [
        StateCounts(),
        StateCounts(sent=3),
        StateCounts(failed=9),
        StateCounts(sent=10**12, pending=1),
    ],
    ids=repr,
)
def test_a_page_is_well_formed_and_needs_nothing_else(counts: StateCounts) -> None:
    """Whatever stands in the outbox."""
    text = page(history("no", counts), title="Müller & Söhne", made_ms=0)
    seen = Checked(text).seen
    assert (seen["html"], seen["h1"], seen["script"], seen["link"]) == (1, 1, 0, 0)
    assert seen["figcaption"] == seen["table"]
    assert "http" not in text.replace('http-equiv="Content-Security-Policy"', "")


def test_no_character_harms_the_page() -> None:
    """Neither one that HTML cannot hold nor half a pair, which could not even be written."""
    made = page(history("a\0\ud800 < b", StateCounts(failed=1)), title='\x1b[2J"', made_ms=0)
    assert "a\ufffd\ufffd &lt; b" in made
    assert "<bdi>\ufffd[2J&#34;</bdi>" in made
    assert made.encode()


def test_copies_are_told_beside_what_was_left_out() -> None:
    """Else a client who counts the files misses them."""
    report = history("no", StateCounts(sent=1))
    assert "Left out and given up" not in page(report, title=None, made_ms=0)
    report.copies = 1_234
    made = page(report, title=None, made_ms=0)
    assert "Copies: not imported a second time." in made
    assert "<td>1,234</td>" in made


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"></td><img src=x>', "شركة 🚀"])
def test_texts_of_others_stay_texts(text: str) -> None:
    """A reason quotes the API, and a title is anyone's."""
    made = page(history(text, StateCounts(failed=2)), title=text, made_ms=0)
    seen = Checked(made).seen
    assert (seen["script"], seen["img"]) == (0, 0)


def test_an_import_is_told_as_it_ended(tmp_path: Path) -> None:
    """Through the command, after an import of good, refused, and undated records."""
    records = [sms(n) for n in range(5)]
    records += [sms(7, date=None), sms(8, direction="outbound", date="2020-03-01T00:00:00Z")]
    records.append(sms(9, direction=None))
    history = write_jsonl(tmp_path / "h.jsonl", records)
    outbox, html = tmp_path / "o.db", tmp_path / "r.html"
    with SandboxThread() as sandbox:
        leadconnector("import", history, *at(sandbox, outbox), "--undated", "now")
    found = run_apart(read_outbox(outbox, history_report_of))
    assert found.counts == StateCounts(sent=7, failed=1)
    assert found.undated == 1
    assert found.kinds["SMS", "outbound"] == StateCounts(sent=1)
    assert found.kinds["SMS", None] == StateCounts(failed=1)
    html.write_text("an earlier one")
    run = leadconnector("report", "--outbox", outbox, "--html", html, "--title", "Ann & Co")
    assert run.exit_code == 0, run.output
    text = html.read_text(encoding="utf-8")
    Checked(text)
    assert "7 of 8 messages are in LeadConnector." in text
    assert "Ann &amp; Co" in text
    assert "1 March 2020 to 1 January 2024" in text
    assert "secret text" not in text
    assert "contact1" not in text
    assert sorted(path.name for path in tmp_path.glob("*.part")) == []


def test_a_page_goes_to_standard_output_if_asked(tmp_path: Path) -> None:
    """As with every other command, and nothing is written beside it."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    leadconnector("import", history, "--sandbox", "--outbox", tmp_path / "o.db")
    before = sorted(tmp_path.iterdir())
    run = leadconnector("report", "--outbox", tmp_path / "o.db", "--html", "-")
    assert run.exit_code == 0
    assert run.stdout.startswith("<!DOCTYPE html>")
    assert sorted(tmp_path.iterdir()) == before


def test_a_page_goes_to_a_file(tmp_path: Path) -> None:
    """And which one is to be said."""
    run = leadconnector("report", "--outbox", tmp_path / "o.db")
    assert run.exit_code == 2
    assert "give --html FILE" in run.stderr


@pytest.mark.slow
def test_an_outbox_is_never_overwritten(tmp_path: Path) -> None:
    """Neither this one nor another; and without one nothing is written."""
    one, two = tmp_path / "1.db", tmp_path / "2.db"
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1)])
    for outbox in (one, two):
        leadconnector("import", history, "--sandbox", "--outbox", outbox)
    for target in (one, two, tmp_path / "1.db-wal", tmp_path / "1.db.lock"):
        run = leadconnector("report", "--outbox", one, "--html", target)
        assert run.exit_code == 2
        assert "is an outbox" in run.stderr
    run = leadconnector("report", "--outbox", tmp_path / "gone.db", "--html", tmp_path / "r.html")
    assert run.exit_code == 1
    assert not (tmp_path / "r.html").exists()
    run = leadconnector("report", "--outbox", one, "--html", tmp_path / "no" / "r.html")
    assert run.exit_code == 1
    assert "cannot be written" in run.stderr
