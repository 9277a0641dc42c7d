from __future__ import annotations

import gzip
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import Parsed, SourceOptions, open_source
from leadconnector_async.sources.base import MAIL_LIMIT
from leadconnector_async.sources.formats.xml import mended_references

if TYPE_CHECKING:
    from pathlib import Path

BACKUP = SourceOptions(mapping_file="sms-backup-restore")
SMS = b'<sms address="+12125550100" date="1706713445000" type="1" body="%b"/>\n'


def _read(
    content: bytes, path: Path, options: SourceOptions = BACKUP
) -> tuple[list[Parsed], list[str]]:
    path.write_bytes(content)
    with open_source(str(path), options) as source:
        return list(source), source.warnings


def _texts(parsed: list[Parsed]) -> list[str | None]:
    return [one.row.message for one in parsed if one.row]


@pytest.mark.parametrize("name", ["sms.xml", "sms", "sms.xml.gz"])
def test_elements_are_read(name: str, tmp_path: Path) -> None:
    """By the file's name or its beginning, packed or not."""
    content = b"<smses>" + SMS % b"one" + SMS % b"two" + b"</smses>"
    packed = gzip.compress(content) if name.endswith("gz") else content
    parsed, _ = _read(packed, tmp_path / name)
    assert _texts(parsed) == ["one", "two"]
    assert [one.line for one in parsed] == [1, 2]


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [("utf-8", "UTF-8"), ("latin-1", "ISO-8859-1"), ("utf-16", "UTF-16"), ("utf-8-sig", "UTF-8")],
)
def test_encodings_are_those_that_the_file_says(
    encoding: str, declared: str, tmp_path: Path
) -> None:
    """Or those of its byte order mark."""
    text = f'<?xml version="1.0" encoding="{declared}"?><smses>' + (SMS % b"X").decode()
    content = (text.replace("X", "grün") + "</smses>").encode(encoding)
    assert _texts(_read(content, tmp_path / "sms.xml")[0]) == ["grün"]


@pytest.mark.parametrize(
    "begin",
    [
        b"<!DOCTYPE smses>",
        b'<!DOCTYPE smses [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
        b'<!DOCTYPE smses SYSTEM "file:///etc/passwd">',
    ],
)
def test_document_types_are_refused(begin: bytes, tmp_path: Path) -> None:
    """With them go entities, and files of this machine."""
    with pytest.raises(SourceError, match="line 1: has a DOCTYPE"):
        _read(begin + b"<smses>" + SMS % b"&b;" + b"</smses>", tmp_path / "sms.xml")


def test_an_entity_that_nobody_declared_ends_the_reading(tmp_path: Path) -> None:
    """There can be none."""
    content = b"<smses>\n" + SMS % b"one" + SMS % b"&b;" + b"</smses>"
    parsed, _ = _read(content, tmp_path / "sms.xml")
    assert _texts(parsed) == ["one"]
    assert parsed[1].line == 3
    assert "is no XML from line 3 on (undefined entity)" in str(parsed[1].problems[0])


def test_a_broken_file_gives_what_came_before(tmp_path: Path) -> None:
    """Cut, with a stray character, or cut in its packing."""
    content = b"<smses>\n" + SMS % b"one" + b'<sms address="'
    for name, broken, said in (
        ("a.xml", content, "is no XML"),
        ("b.xml", content + b"<", "is no XML"),
        ("c.xml.gz", gzip.compress(content)[:-4], "cut short"),
    ):
        parsed, _ = _read(broken, tmp_path / name)
        assert _texts(parsed) == ["one"]
        assert said in parsed[1].problems[0].wrong


@pytest.mark.full
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Elements go as they come."""
    path = tmp_path / "sms.xml"

    def peak(count: int) -> int:
        text = SMS % (b"x" * 1000)
        path.write_bytes(b"<smses>" + text * 300 * count + b"</smses>")
        tracemalloc.start()
        with open_source(str(path), BACKUP) as source:
            assert sum(1 for _ in source) == 300 * count
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(6) < 1.3 * peak(2)


@pytest.mark.parametrize(
    ("inner", "count", "said"),
    [
        (b"<a/>", 20_000, "10000 elements"),
        pytest.param(b" ", MAIL_LIMIT, "bytes", marks=pytest.mark.full),
    ],
)
def test_a_file_without_records_does_not_fill_the_memory(
    inner: bytes, count: int, said: str, tmp_path: Path
) -> None:
    """Nor one whose records never end."""
    content = b"<smses><sms>" + inner * count + b"</sms></smses>"
    with pytest.raises(SourceError, match=f"{said} without the end of a record"):
        _read(content, tmp_path / "sms.xml")


def test_what_a_backup_holds_that_is_no_file(tmp_path: Path) -> None:
    """Refused with a reason. Without a place to keep them the others are named."""
    mms = (
        b'<mms address="+12125550100" date="1706713445000" msg_box="1"><part ct="image/png" '
        b'cl="a.png" data="%b"/><part ct="text/plain" text="hi"/></mms>'
    )
    spool = SourceOptions(mapping_file="sms-backup-restore", spool=tmp_path / "spool")
    for data in (b"abc", b"!!!!", b"YWJj!", b"YWI=YWJj"):
        (bad,), _ = _read(mms % data, tmp_path / "sms.xml", spool)
        assert str(bad.problems[0]).startswith("attachments has a file that is no base64")
    (good,), _ = _read(mms % b"data:image/png;base64,YWJj", tmp_path / "sms.xml", spool)
    assert not good.problems
    (lines,), _ = _read(mms % b"YWJj&#10;YWJj", tmp_path / "sms.xml", spool)
    assert lines.problems == ()
    (good,), _ = _read(mms % b"YWJj", tmp_path / "sms.xml")
    assert _texts([good]) == ["hi"]
    assert good.notices == ()
    assert good.row is not None
    assert [url.rpartition("/")[2] for url in good.row.attachments or ()] == ["a.png"]


def test_xml_needs_a_mapping_of_elements(tmp_path: Path) -> None:
    """The error says which there are, and names none that reads tables."""
    with pytest.raises(SourceError, match="give --mapping with one of sms-backup-restore, or with"):
        _read(b"<till/>", tmp_path / "sms.xml", SourceOptions())
    with pytest.raises(SourceError, match="is XML, and --mapping generic reads tables"):
        _read(b"<till/>", tmp_path / "sms.xml", SourceOptions(mapping_file="generic"))


GRIN = b"&#55357;&#56842;"


def _whole(text: bytes) -> bytes:
    return b"".join(mended_references([text]))


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (b"a &amp; b &#10; c", b"a &amp; b &#10; c"),
        (GRIN, b"&#128522;"),
        (b"&#xD83D;&#xde0a;", b"&#128522;"),
        (b"&#10084;" + GRIN + GRIN + b"&#65;", b"&#10084;&#128522;&#128522;&#65;"),
        (b"&#55357;x&#56842;", b"&#65533;x&#65533;"),
        (b"&#56842;&#55357;", b"&#65533;&#65533;"),
        (b"&#0;&#8;&#65535;&#1114112;&#9999999;", b"&#65533;" * 5),
        (b"&#;&#x;&# 1;&#", b"&#;&#x;&# 1;&#"),
    ],
)
def test_halves_are_joined_and_the_rest_is_replaced(text: bytes, result: bytes) -> None:
    """Good references stay, and so does what is none."""
    assert _whole(text) == result


def test_what_was_replaced_is_told(tmp_path: Path) -> None:
    """A half of an emoji, as where a text was cut, gets lost."""
    found, _ = _read(b"<smses>%b%b</smses>" % (SMS % b"a&#55357;", SMS % GRIN), tmp_path / "a.xml")
    assert [("stands for" in "".join(one.notices)) for one in found] == [True, False]


@given(
    st.lists(st.sampled_from([b"&#55357;", b"&#56842;", b"&#xD83D;", b"&#65;", b"&#", b"a", b"&"])),
    st.data(),
)
def test_it_does_not_matter_where_pieces_end(parts: list[bytes], data: st.DataObject) -> None:
    """In the middle of a reference, or between two halves."""
    text = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    ends = [0, *cuts, len(text)]
    pieces = [text[a:b] for a, b in pairwise(ends)]
    assert b"".join(mended_references(pieces)) == _whole(text)
