from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING

import pytest
from cli_harness import OWN_FORM, sms, write_jsonl
from rich.console import Console

from leadconnector_async.cli import progress_display
from leadconnector_async.cli.progress_display import (
    LINE_EVERY,
    LineDisplay,
    NoDisplay,
    choose_display,
    line,
    waiting,
)
from leadconnector_async.cli.rich_progress import BarDisplay, picture
from leadconnector_async.reports.progress import ImportProgress, Notice

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def reading(bytes_read: int, bytes_total: int | None, read: int) -> ImportProgress:
    """Progress before anything is sent."""
    return ImportProgress(bytes_read=bytes_read, bytes_total=bytes_total, read=read)


def sending(
    done: int,
    total: int,
    rate: float | None,
    seconds_left: float | None,
    notice: Notice | None = None,
) -> ImportProgress:
    """Progress when all is staged."""
    return ImportProgress(
        sending=True,
        pending=total - done,
        total=total,
        rate=rate,
        seconds_left=seconds_left,
        notice=notice,
    )


OUTAGE = Notice("The API is out of reach: trying again", 4.2)


def lines_of(
    moments: Iterable[tuple[float, ImportProgress]], capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """What `LineDisplay` writes when it is shown these."""
    display = LineDisplay()
    for now, progress in moments:
        display.show(progress, now)
    display.close()
    output = capsys.readouterr()
    assert not output.out
    return output.err.splitlines()


def drawn(progress: ImportProgress) -> str:
    """What the bar looks like, without colors."""
    file = io.StringIO()
    Console(file=file, width=100, color_system=None).print(picture(progress))
    return file.getvalue()


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (reading(1_200_000, 3_400_000, 5_000), "Reading: 1.2 MB of 3.4 MB, 5,000 records"),
        (reading(1_200_000, None, 1), "Reading: 1.2 MB, 1 record"),
        (reading(3_400_000, 3_400_000, 9_000), "Putting in order: 9,000 records"),
        (sending(0, 612, None, None), "Sending: 0 of 612"),
        (
            sending(412, 1_000_612, 9.84, 423_000.0),
            "Sending: 412 of 1,000,612, 9.8/s, 4 d 21 h left",
        ),
    ],
)
def test_progress_in_words(progress: ImportProgress, words: str) -> None:
    """What is not known is left out."""
    assert line(progress) == words


def test_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """One every ten seconds; none for a run that is over before."""
    moments = [(second / 2, sending(second, 100, 2.0, 1.0)) for second in range(70)]
    assert len(lines_of(moments, capsys)) == 34.5 // LINE_EVERY
    assert not lines_of(moments[:19], capsys)


def test_what_is_waited_for_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line with how far it is, from time to time; nothing where it is over soon, or in quiet."""
    told = Event()

    def done() -> int:
        told.set()
        return 7

    with waiting("Checking", done):
        pass
    monkeypatch.setattr(progress_display, "LINE_EVERY", 0.001)
    with waiting("Checking", done, quiet=True):
        pass
    assert not told.is_set()
    with waiting("Checking", done) as clear:
        assert told.wait(60)
        clear()
    assert capsys.readouterr().err.splitlines()[0].startswith("Checking: 7 records, ")


def test_a_notice_is_said_at_once_and_once(capsys: pytest.CaptureFixture[str]) -> None:
    """And again when it comes back, and with each line while it lasts."""
    stuck, moving = sending(1, 100, 0.0, None, OUTAGE), sending(2, 100, 1.0, 98.0)
    moments = [(0.0, stuck), (1.0, stuck), (2.0, moving), (3.0, stuck), (LINE_EVERY, stuck)]
    told = f"{OUTAGE.text} in 5 s"
    assert lines_of(moments, capsys) == [told, told, told, "Sending: 1 of 100, 0/min"]


def test_the_bar_shows_figures_and_notices() -> None:
    """Rate and time left beside it, and below it why nothing moves."""
    assert "412/1,000,612  9.8/s  4 d 21 h left" in drawn(sending(412, 1_000_612, 9.84, 423_000.0))
    text = drawn(sending(412, 612, 0.0, None, OUTAGE))
    assert text.splitlines()[1].startswith("The API is out of reach: trying again in 5 s")
    assert "1.2 MB of 3.4 MB  5,000 records" in drawn(reading(1_200_000, 3_400_000, 5_000))
    assert "Reading" in drawn(reading(1_200_000, None, 1))


def test_the_screen_is_left_clean(capsys: pytest.CaptureFixture[str]) -> None:
    """Closing is safe before the first picture, and after the last."""
    screen = BarDisplay(color=False)
    screen.close()
    screen = BarDisplay(color=False)
    screen.show(sending(1, 2, 1.0, 1.0), 0.0)
    screen.show(sending(2, 2, 1.0, 0.0), 1.0)
    screen.close()
    assert not capsys.readouterr().out


def test_who_sees_what(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar on a terminal, lines elsewhere, nothing with --quiet."""
    assert isinstance(choose_display(quiet=False, color=True), LineDisplay)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert isinstance(choose_display(quiet=False, color=True), BarDisplay)
    nothing = choose_display(quiet=True, color=True)
    assert isinstance(nothing, NoDisplay)
    nothing.show(sending(1, 2, 1.0, 1.0), 0.0)
    nothing.close()


def _all_of(terminal: int) -> str:
    """What was drawn. A terminal gives it in pieces, and an error at the end."""
    drawn = b""
    with suppress(OSError):
        while piece := os.read(terminal, 1 << 16):
            drawn += piece
    return drawn.decode()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("no_color", ["", pytest.param("1", marks=pytest.mark.full)])
def test_a_terminal_gets_a_bar_and_no_color_is_obeyed(no_color: str, tmp_path: Path) -> None:
    """On standard error alone; the report goes to standard output."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n, contactId=OWN_FORM) for n in range(60)])
    terminal, end = os.openpty()
    words = ["import", str(history), "--sandbox", "--quota", "60/1"]
    words += ["--outbox", str(tmp_path / "o.db")]
    run = subprocess.run(
        [sys.executable, "-m", "leadconnector_async.cli", *words],
        env={**os.environ, "NO_COLOR": no_color, "TERM": "xterm-256color", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=end,
        check=True,
    )
    os.close(end)
    drawn = _all_of(terminal)
    os.close(terminal)
    assert "Sending" in drawn
    assert "/60" in drawn
    assert bool(re.search(r"\x1b\[[39]\d", drawn)) != bool(no_color)
    assert b"\x1b" not in run.stdout
    assert b"The import is finished." in run.stdout
