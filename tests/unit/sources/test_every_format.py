"""Formats without a mapping, as they should not be: empty, cut, in another encoding or language."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Final

import pytest
from workbooks import workbook

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import SourceOptions, open_sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from leadconnector_async.sources import Parsed

GOOD: Final = "2024-01-31T09:30:00Z"
FOREIGN: Final = "31 janvier 2024 9 h 30"
OPTIONS: Final = SourceOptions(mine=("me@x.org",))
COUNT: Final = 40
TEXTS: Final = ("csv", "jsonl", "json", "singer", "xml", "mbox", "eml")
FORMATS: Final = (*TEXTS, "xlsx", "parquet", "zip")


def _records(date: str, text: str = "caf\u00e9") -> Iterator[dict[str, str]]:
    for number in range(COUNT):
        yield {
            "type": "SMS",
            "contactId": "c",
            "direction": "inbound",
            "date": date,
            "message": f"{text} {number}",
        }


def _mail(date: str, text: str, number: int) -> str:
    when = "Wed, 31 Jan 2024 09:30:00 +0000" if date == GOOD else date
    return (
        f"Message-ID: <{number}@x.example>\nDate: {when}\nFrom: kim@x.example\nTo: me@x.org\n"
        f"Content-Type: text/plain; charset=utf-8\n\n{text} {number}\n"
    )


def _text(kind: str, date: str, text: str) -> str:
    records = list(_records(date, text))
    if kind == "csv":
        return "\n".join(map(",".join, [[*records[0]], *map(dict.values, records)])) + "\n"
    if kind in ("jsonl", "json"):
        lines = [json.dumps(one, ensure_ascii=False) for one in records]
        return "\n".join(lines) + "\n" if kind == "jsonl" else "[" + ",\n".join(lines) + "]\n"
    if kind == "singer":
        messages = ({"type": "RECORD", "stream": "sms", "record": one} for one in records)
        return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in messages)
    if kind == "xml":
        when = "1706693400000" if date == GOOD else date
        texts = (
            f'<sms address="+12125550100" date="{when}" type="1" body="{one["message"]}" />\n'
            for one in records
        )
        return f"<smses>\n{''.join(texts)}</smses>\n"
    if kind == "eml":
        return _mail(date, text, 0)
    mails = (_mail(date, text, number) for number in range(COUNT))
    return "".join(f"From kim@x.example Wed Jan 31 09:30:00 2024\n{one}\n" for one in mails)


def _content(kind: str, folder: Path, date: str = GOOD, text: str = "caf\u00e9") -> bytes:
    if kind in TEXTS:
        return _text(kind, date, text).encode()
    records = list(_records(date, text))
    if kind == "zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("a.csv", _text("csv", date, text))
        return out.getvalue()
    if kind == "xlsx":
        pytest.importorskip("python_calamine")
        rows: list[list[object]] = [list(one.values()) for one in records]
        return workbook(folder / "made", list(records[0]), *rows).read_bytes()
    table = {name: [one[name] for one in records] for name in records[0]}
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(table), folder / "made")
    return (folder / "made").read_bytes()


def _read(path: Path, content: bytes, options: SourceOptions = OPTIONS) -> list[Parsed]:
    path.write_bytes(content)
    parsed: list[Parsed] = []
    for opened in open_sources(str(path), options):
        with opened as source:
            parsed += source
    return parsed


def _messages(parsed: list[Parsed]) -> list[str | None]:
    return [one.row.message for one in parsed if one.row is not None]


@pytest.mark.parametrize("kind", FORMATS)
def test_an_empty_file_is_refused_whatever_its_name_says(tmp_path: Path, kind: str) -> None:
    """As a whole, with the word: nothing is there to be imported."""
    with pytest.raises(SourceError, match="empty"):
        _read(tmp_path / f"a.{kind}", b"")


@pytest.mark.parametrize("kind", FORMATS)
def test_of_a_file_that_breaks_off_no_record_is_another_one(tmp_path: Path, kind: str) -> None:
    """What came before is read as it was; a break within a record is a problem, with a line."""
    content = _content(kind, tmp_path)
    whole = _messages(_read(tmp_path / f"a.{kind}", content))
    for share in (0.3, 0.5, 0.77, 0.98):
        cut = content[: int(len(content) * share)]
        try:
            parsed = _read(tmp_path / f"a.{kind}", cut)
        except SourceError:
            continue
        made = _messages(parsed)
        *before, last = made or [None]
        assert [one for one in before if one not in whole] == []
        assert last in whole or last is None or kind in {"mbox", "eml"}  # which end with their text
        assert all(one.line for one in parsed if one.problems)
        assert len(made) < len(whole) or kind == "eml"


@pytest.mark.parametrize("kind", TEXTS)
def test_another_encoding_is_read_or_named(tmp_path: Path, kind: str) -> None:
    """UTF-16 by its mark, cp1252 by --encoding; without that, records are refused with a line."""
    text = _text(kind, GOOD, "caf\u00e9")
    whole = _messages(_read(tmp_path / f"a.{kind}", text.encode()))
    assert _messages(_read(tmp_path / f"a.{kind}", text.encode("utf-16"))) == whole
    parsed = _read(tmp_path / f"a.{kind}", text.replace("utf-8", "cp1252").encode("cp1252"))
    if kind in ("mbox", "eml"):  # a mail says what it is in
        assert _messages(parsed) == whole
        return
    assert _messages(parsed) == []
    assert all(one.problems and one.line for one in parsed)
    options = SourceOptions(encoding="cp1252")
    assert _messages(_read(tmp_path / f"a.{kind}", text.encode("cp1252"), options)) == whole


@pytest.mark.parametrize("kind", FORMATS)
def test_dates_of_another_language_are_refused_with_their_records(
    tmp_path: Path, kind: str
) -> None:
    """Each by its line: none is guessed, and none is lost."""
    parsed = _read(tmp_path / f"a.{kind}", _content(kind, tmp_path, FOREIGN))
    assert len(parsed) == (1 if kind == "eml" else COUNT)
    assert {problem.field for one in parsed for problem in one.problems} == {"date"}
    assert all(one.row is None and one.line for one in parsed)
