from __future__ import annotations

import gzip
import io
import json
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from workbooks import workbook

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import SourceOptions, open_source, open_sources
from leadconnector_async.sources.formats.text_log import TextLog

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
        _messages(path, SourceOptions(undated="now", format="csv"))


@pytest.mark.parametrize("content", [CSV, JSONL, gzip.compress(CSV, mtime=0)])
def test_standard_input_is_a_source(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """``-`` takes all that a file can hold."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    with open_source("-", SourceOptions(undated="now")) as source:
        assert [parsed.row.message for parsed in source if parsed.row] == ["hi"]
        assert source.name == "standard input"


@pytest.mark.slow
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
        ("a.csv", b"<?xml version='1.0'?><smses/>", "holds no sms, mms or call"),
        ("a.csv", b"\xd0\xcf\x11\xe0" + bytes(600), "an old Excel workbook or a mail of Outlook"),
        ("a.json", b"%PDF-1.4", "is a PDF"),
        ("a.txt", b"{\\rtf1 a,b}", "is a text with formats"),
        ("a.rar", b"Rar!\x1a\x07\x01\x00", "is a RAR archive"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive"),
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


@pytest.mark.parametrize("indent", [None, 1])
def test_lists_within_a_list_of_json_are_no_table(tmp_path: Path, indent: int | None) -> None:
    """On one line they were taken for its header, and an import of nothing was finished."""
    rows = [list(RECORD), list(RECORD.values())]
    (tmp_path / "a.json").write_text(json.dumps(rows, indent=indent))
    with open_source(str(tmp_path / "a.json")) as source:
        parsed = [*source]
        assert parsed
        assert not any(one.row for one in parsed)


RECORD = {"type": "SMS", "direction": "inbound", "date": "2024-01-31T09:30:00Z", "message": "hi"}
MAIL = (
    b"Message-ID: <1@x.example>\nDate: Wed, 31 Jan 2024 09:30:00 +0000\nFrom: kim@x.example\n"
    b"To: me@x.org\n\nhi\n"
)
CONTENTS = {
    "a table": CSV,
    "JSON": JSONL,
    "XML": b'<smses><sms address="+12125550100" date="1706693400000" type="1" body="hi" /></smses>',
    "mails": b"From kim@x.example Wed Jan 31 09:30:00 2024\n" + MAIL,
    "a mail": MAIL,
    "a zip archive": None,
    "a workbook": None,
    "Parquet": None,
}


def _content(kind: str, folder: Path) -> bytes:
    """Write a file of a kind, whose one message is "hi"."""
    if (content := CONTENTS[kind]) is not None:
        return content
    if kind == "a zip archive":
        with zipfile.ZipFile(folder / "made", "w") as archive:
            archive.writestr("inner.csv", CSV)
    elif kind == "Parquet":
        table = {name: [value] for name, value in RECORD.items()}
        pytest.importorskip("pyarrow.parquet").write_table(
            pytest.importorskip("pyarrow").table(table), folder / "made"
        )
    else:
        pytest.importorskip("python_calamine")
        workbook(folder / "made", list(RECORD), list(RECORD.values()))
    return (folder / "made").read_bytes()


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".xml", ".mbox", ".eml", ".txt", ""])
@pytest.mark.parametrize("kind", CONTENTS)
def test_a_file_under_the_name_of_another_kind_is_read_as_what_it_is(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    """Whatever its name says, by its own path and within a folder; and a notice says so."""
    path = tmp_path / "in" / f"a{suffix}"
    path.parent.mkdir()
    path.write_bytes(_content(kind, tmp_path))
    options = SourceOptions(undated="now", mine=("me@x.org",))
    own = {"a table": ".csv", "JSON": ".json", "XML": ".xml", "mails": ".mbox", "a mail": ".eml"}
    named = suffix in ("", ".txt", own.get(kind)) or {kind, suffix} in KIN
    told = f"holds {kind}, though its name ends in {suffix}: read as that"
    with open_source(str(path), options) as source:
        assert [parsed.row and parsed.row.message for parsed in source] == ["hi"]
        assert (told in source.warnings) is not named
    if kind != "a mail" or suffix in ("", ".mbox", ".eml"):  # of another name, it may be a note
        (source,) = open_sources(str(path.parent), options)
        with source:
            assert [parsed.row and parsed.row.message for parsed in source] == ["hi"]


KIN = ({"JSON", ".jsonl"}, {"a mail", ".mbox"}, {"mails", ".eml"})
"""What is of one kind."""


@pytest.mark.parametrize(
    ("mine", "region", "is_told"),
    [
        ("3035550100", None, True),
        ("(303) 555-0100", None, True),
        ("3035550100", "US", False),
        ("+13035550100", None, False),
        ("0013035550100", None, False),
        ("22000", None, False),
        ("me303555@example.com", None, False),
    ],
)
def test_an_own_number_without_a_country_is_told_of(
    tmp_path: Path, mine: str, region: str | None, *, is_told: bool
) -> None:
    """It is not met in numbers that say theirs, and no row tells why its direction is missing."""
    path = tmp_path / "a.csv"
    path.write_bytes(CSV)
    sources = open_sources(path, SourceOptions(mine=(mine,), region=region))
    for source in sources:
        source.__exit__(None, None, None)
    assert any(f"--mine {mine}: " in one for one in sources.warnings) is is_told


@pytest.mark.parametrize("days", ["03/01/2024 03/31/2024", "2024-03-01 2024-03-31"])
def test_a_title_of_two_days_begins_a_table_and_no_mail(tmp_path: Path, days: str) -> None:
    """What a mail is from and to is an address, and never a day."""
    first, last = days.split()
    path = tmp_path / "a.csv"
    path.write_bytes(f"From: {first}\nTo: {last}\n\n".encode() + CSV)
    assert _messages(path) == ["hi"]


PASTED = "29/03/2024, 14:05 - Ann Lee: hi\n29/03/2024, 14:06 - Jo: ho"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", f'Phone,Direction,Date,Text\n+13035550142,in,1711724801,"See\n{PASTED}"\n'),
        (
            "a.csv",
            "Created At,Phone,Direction,Text\n2024-03-29 09:06:41 -0600,+13035550142,in,hi: ho\n",
        ),
        ("a.xml", f'<smses><sms address="911" type="1" date="9" body="See\n{PASTED}"/></smses>'),
        ("cur", f"From: a@x.org\nTo: me@x.org\nDate: Fri, 29 Mar 2024 9:06 GMT\n\n{PASTED}\n"),
    ],
)
def test_a_chat_within_a_text_makes_no_chat_of_the_file(
    tmp_path: Path, name: str, content: str
) -> None:
    """Nor do dates as Ruby writes them, with a dash before the offset."""
    (tmp_path / name).write_text(content)
    for given in (None, "csv") if name == "a.csv" else (None,):
        options = SourceOptions(mapping_file="generic", mine=("me@x.org",), format=given)
        with open_source(str(tmp_path / name), options) as source:
            parsed = list(source)
        assert len(parsed) == 1
        assert not isinstance(source, TextLog)


def test_a_mapping_of_ones_own_goes_before_a_header(tmp_path: Path) -> None:
    """Its logs may begin with the names of what is in them."""
    (tmp_path / "till.toml").write_text(
        "[text]\nbegins = ['(?P<when>\\S+Z) (?P<said>.*)']\n"
        '[fields]\ntype = { constant = "SMS" }\ndate = "when"\nmessage = "said"\n'
    )
    log = tmp_path / "log.txt"
    log.write_text("Date,Direction,Text\n2024-03-29T09:06:00Z hi\n")
    assert _messages(log, SourceOptions(mappings=(tmp_path,))) == ["hi"]
