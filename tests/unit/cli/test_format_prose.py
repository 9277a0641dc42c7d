from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pytest
from cli_harness import leadconnector, sms, write_jsonl
from samples import sampled

from leadconnector_async.cli.format import wrapped

if TYPE_CHECKING:
    from pathlib import Path


def at_terminal(columns: int, *words: object) -> list[str]:
    """What a command shows at a terminal of so many columns, line by line."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("LEADCONNECTOR_", "COLUMNS"))}
    with subprocess.Popen(
        [sys.executable, "-m", "leadconnector_async.cli", *map(str, words)],
        env=clean | {"TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    return shown.decode().replace("\r", "").split("\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in this folder whose problems and notices take long lines."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.heic", "b.heic"):
        (tmp_path / name).write_bytes(b"x")
    records = [
        sms(1, attachments=["/etc/a-file-with-hyphens.txt"]),
        sms(2, type="sms"),
        sms(3, attachments=["a.heic"]),
        sms(4, attachments=["b.heic"]),
    ]
    return write_jsonl(tmp_path / "a history of messages.jsonl", records)


@pytest.mark.slow
@sampled("command, columns", ["validate", "inspect"], [50, 80])
def test_text_fits_the_terminal(command: str, columns: int, history: Path) -> None:
    """No word is broken, and none is lost; a longer word, such as a path, stays whole."""
    words = [command, history.name]
    lines = at_terminal(columns, *words)
    assert all(len(line) <= columns or " " not in line.strip() for line in lines)
    if command == "validate":
        piped = leadconnector(*words).output
        assert " ".join("\n".join(lines).split()) == " ".join(piped.split())


@pytest.mark.slow
def test_commands_can_be_copied(history: Path) -> None:
    """A line that goes on says so to the shell; what an import says fits the terminal too."""
    options = ["--sandbox", "--quiet", "--outbox", "an/outbox/in/some/folder/below.db"]
    (history.parent / "an/outbox/in/some/folder").mkdir(parents=True)
    lines = at_terminal(60, "import", history.name, *options)
    assert all(len(line) <= 60 or " " not in line.strip() for line in lines)
    text = "\n".join(lines).replace(" \\\n", " ")
    assert "leadconnector import failed.jsonl --sandbox" in " ".join(text.split())
    assert any(line.endswith(" \\") for line in lines)


@pytest.mark.slow
def test_errors_fit_the_terminal(tmp_path: Path) -> None:
    """Ours, and those of the command line."""
    for words in (["import", tmp_path / "none.jsonl"], ["validate", tmp_path / "none.jsonl"]):
        lines = at_terminal(50, *words)
        assert all(len(line) <= 50 or " " not in line.strip() for line in lines)


def test_what_is_piped_stays_as_it_is(history: Path) -> None:
    """A line of a problem is one line, whatever the environment says of columns."""
    lines = leadconnector("validate", history, COLUMNS="50").output.splitlines()
    assert lines[0].endswith("take it out of the list")


def test_a_long_word_stays_whole() -> None:
    """Hyphens and slashes are part of it."""
    path = "/srv/an-export/of-messages/2024-01-31/history.jsonl:17"
    assert wrapped(f"see {path} there", 20) == ["see", path, "there"]
