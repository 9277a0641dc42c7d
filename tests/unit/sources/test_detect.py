from __future__ import annotations

import gzip
import io
import sys
from typing import TYPE_CHECKING

import pytest

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import SourceOptions, open_source
from leadconnector_async.sources.text_log import TextLog

if TYPE_CHECKING:
    from pathlib import Path

CSV = b"type,message\nSMS,hi\n"
JSONL = b'{"type":"SMS","message":"hi"}\n'


def _messages(path: Path, options: SourceOptions | None = None) -> list[str | None]:
    with open_source(str(path), options or SourceOptions(undated="now")) as source:
        return [parsed.row.message if parsed.row else None for parsed in source]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", JSONL),
        ("a.NDJSON", JSONL),
        ("a.json", JSONL),
        ("a.csv", CSV),
        ("a.tsv", CSV.replace(b",", b"\t")),
        ("a.txt", JSONL),
        ("a.txt", CSV),
        ("export", b"\xef\xbb\xbf" + JSONL),
        ("2024.01.31", CSV),
        ("a.csv", gzip.compress(CSV, mtime=0)),
        ("a.csv.gz", gzip.compress(CSV, mtime=0)),
        ("a.jsonl.gz", JSONL),
        ("a.gz", gzip.compress(JSONL, mtime=0)),
    ],
)
def test_a_file_is_known_by_its_name_or_its_beginning(
    tmp_path: Path, name: str, content: bytes
) -> None:
    """Names that say nothing leave it to the first character; gzip needs no name."""
    path = tmp_path / name
    path.write_bytes(content)
    assert _messages(path) == ["hi"]


def test_the_format_can_be_said(tmp_path: Path) -> None:
    """It wins over the name."""
    path = tmp_path / "a.csv"
    path.write_bytes(JSONL)
    assert _messages(path, SourceOptions(undated="now", format="jsonl")) == ["hi"]
    with pytest.raises(SourceError):
        _messages(path)


@pytest.mark.parametrize("content", [CSV, JSONL, gzip.compress(CSV, mtime=0)])
def test_standard_input_is_a_source(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """``-`` takes all that a file can hold."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    with open_source("-", SourceOptions(undated="now")) as source:
        assert [parsed.row.message for parsed in source if parsed.row] == ["hi"]
        assert source.name == "standard input"


def test_progress_is_known_while_reading(tmp_path: Path) -> None:
    """Bytes read never pass the size, and reach it."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(JSONL * 10_000)
    with open_source(str(path), SourceOptions(undated="now")) as source:
        assert source.size == path.stat().st_size
        seen = [source.bytes_read for _ in source]
    assert seen == sorted(seen)
    assert 0 < seen[0] < seen[-1] == source.size


def test_a_source_that_is_refused_leaves_no_file_open(tmp_path: Path) -> None:
    """Warnings are errors here: a file left open would be one."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"no,known,column\n")
    with pytest.raises(SourceError):
        open_source(str(path), SourceOptions(undated="now"))


def test_the_form_holds_what_reading_again_needs(tmp_path: Path) -> None:
    """Equal forms share a list of failed records."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"type;body\nSMS;hi\n")
    with open_source(
        str(path), SourceOptions(undated="now", mapping={"message": "body"})
    ) as source:
        assert source.form == (
            b'{"format":"csv","columns":["type","body"],"delimiter":";",'
            b'"mapping":{"message":"body"}}'
        )


@pytest.mark.parametrize(
    "line",
    [
        "[01.03.24, 10:00:00] Ann: hi",
        "\u200e[3/1/24, 10:00:00\u202fAM] Ann: hi",
        "3/1/24, 10:00 AM - Ann: hi",
        "01/03/2024, 22:05 - Ann: hi",
        "1/3/24 10:05 p. m. - Ann: hi",
    ],
)
def test_a_chat_of_whatsapp_is_one_whatever_it_is_called(tmp_path: Path, line: str) -> None:
    """Not JSON that is broken, nor a table without a header."""
    for name in ("_chat.txt", "chat.json", "chat.csv", "chat"):
        (tmp_path / name).write_text(f"{line}\nand more\n", "utf-8")
        with open_source(str(tmp_path / name)) as source:
            assert isinstance(source, TextLog)
            assert source.recognised == "whatsapp"
    (tmp_path / "log.csv").write_text("date,type,message\n01/03/2024 22:05,SMS,hi\n")
    open_source(str(tmp_path / "log.csv")).__exit__(None, None, None)


@pytest.mark.parametrize(
    ("name", "content", "fix"),
    [
        ("a.csv", b'{"data": [{"a": 1,\n"a": 2}]}', "--format jsonl"),
        ("a.csv", b"<?xml version='1.0'?><smses/>", "--format xml"),
        ("a.vcf", b"BEGIN:VCARD\r\nFN:Ann\r\n", "--people FILE"),
    ],
)
def test_what_is_no_table_says_what_it_is(
    tmp_path: Path, name: str, content: bytes, fix: str
) -> None:
    """Whatever its name says: its lines are not taken for a header."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=fix):
        _messages(tmp_path / name)
