"""Every export that a mapping reads, as it should not be: its examples are the files."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from leadconnector_async.errors import SourceError
from leadconnector_async.sources import SourceOptions, open_source
from leadconnector_async.sources.mappings.mapping_files import NAMES, load_examples, load_mapping

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sources import Parsed
    from leadconnector_async.sources.mappings.mapping import Example

CASES = [name for name in NAMES if name != "generic"]

SUFFIXES = (".csv", ".json", ".txt", ".html", ".xml", "")


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    """Name each mapping."""
    found = str(request.param)
    if load_mapping(found).is_html:
        pytest.importorskip("selectolax")
    return found


def _example(name: str) -> Example:
    return load_examples(name)[0]


def _options(example: Example, **options: object) -> SourceOptions:
    zone = ZoneInfo(example.timezone or "UTC")
    given = {"region": example.region, "timezone": zone, "mine": tuple(example.mine)}
    return SourceOptions(**given | options)  # type: ignore[arg-type]


def _read(path: Path, content: bytes, options: SourceOptions) -> list[Parsed]:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with open_source(str(path), options) as source:
        return list(source)


def _rows(parsed: list[Parsed]) -> list[tuple[object, object, object]]:
    """What has to be the same, wherever the file lies: attachments have its path."""
    return [
        (one.left_out, one.row and (one.row.direction, one.row.date, one.row.message), one.line)
        for one in parsed
    ]


@pytest.mark.parametrize("filler", ["1", "a", " ", "1 ", "a@b, "])
def test_no_name_of_a_file_is_looked_at_for_long(name: str, filler: str) -> None:
    """An expression that can take the same characters in many ways would not come back."""
    chat = load_mapping(name).chat
    for title in chat.titles if chat else ():
        assert re.fullmatch(title, filler * 200 + "\n?") is None


def test_an_empty_file_says_so(tmp_path: Path, name: str) -> None:
    """Whatever is announced."""
    for content in (b"", b"\n\n", gzip.compress(b"")):
        with pytest.raises(SourceError, match="is empty"):
            _read(tmp_path / "a", content, _options(_example(name), mapping_file=name))


def test_a_file_that_breaks_off_gives_what_came_before(tmp_path: Path, name: str) -> None:
    """As it stands, and as gzip, where the break is told. No whole record is another one."""
    example = _example(name)
    content = example.given.lstrip().encode()
    options = _options(example, mapping_file=name)
    whole = _rows(_read(tmp_path / "a", content, options))
    packed = gzip.compress(content, compresslevel=0)
    for share in (0.5, 0.7, 0.9, 0.97):
        for data in (content, packed):
            try:
                parsed = _read(tmp_path / "a", data[: int(len(data) * share)], options)
            except SourceError:
                continue
            made = [row for row in _rows(parsed)[:-1] if row[1]]
            assert [row for row in made if row not in whole] == []
            told = any("cut short" in problem.wrong for one in parsed for problem in one.problems)
            assert told or data is content


def test_another_encoding_is_read_or_told(tmp_path: Path, name: str) -> None:
    """UTF-16 by its mark, others by --encoding; without it a text is refused, and none garbled."""
    example = _example(name)
    text = example.given.lstrip()
    options = _options(example)
    if load_mapping(name).within:  # of two systems, told by the path alone
        options = _options(example, mapping_file=name)
    whole = _rows(_read(tmp_path / "a", text.encode(), options))
    assert _rows(_read(tmp_path / "a", text.encode("utf-16"), options)) == whole
    texts = [one.row.message or "" for one in _parsed(tmp_path, options) if one.row]
    message = next((one for one in texts if one and one in text), None)
    if message is None:  # is escaped in its file; or calls have none
        return
    foreign = text.replace(message[:4], "\u00e9" + message[1:4]).encode("cp1252")
    parsed = _read(tmp_path / "a", foreign, options)
    texts = [one.row.message for one in parsed if one.row and one.row.message]
    assert not any("\ufffd" in one or "\u00e9" in one for one in texts)
    assert any("UTF-8" in str(problem) for one in parsed for problem in one.problems) or (
        len(parsed) < len(whole)
    )
    read = _read(tmp_path / "a", foreign, _options(example, mapping_file=name, encoding="cp1252"))
    texts = [one.row.message for one in read if one.row and one.row.message]
    assert any(one.startswith("\u00e9") for one in texts)


def _parsed(folder: Path, options: SourceOptions) -> list[Parsed]:
    with open_source(str(folder / "a"), options) as source:
        return list(source)


def test_a_file_under_the_name_of_another_kind(tmp_path: Path, name: str) -> None:
    """Is read as what it is, or refused as a whole: never in another way."""
    example = _example(name)
    content = example.given.lstrip().encode()
    folder = tmp_path / name  # of two systems the path alone tells which it is
    whole = _rows(_read(folder / "export", content, _options(example)))
    for suffix in SUFFIXES:
        try:
            parsed = _read(folder / f"a{suffix}", content, _options(example))
        except SourceError:
            continue
        assert _rows(parsed) == whole or not any(one.row for one in parsed)


def test_another_kind_under_its_mapping(tmp_path: Path, name: str) -> None:
    """A --mapping that does not fit is passed over with a note, or the file is refused."""
    for other in ("twilio-messages", "telegram", "sms-backup-restore", "whatsapp"):
        if other == name:
            continue
        example = _example(other)
        content = example.given.lstrip().encode()
        whole = _rows(_read(tmp_path / "a", content, _options(example)))
        try:
            parsed = _read(tmp_path / "a", content, _options(example, mapping_file=name))
        except SourceError:
            continue
        assert _rows(parsed) == whole or not any(one.row for one in parsed)


DATES = (
    ("2024-03-29T15:06:41", "29.03.2024 um 15h06"),
    ("Mar 29, 2024", "29 mars 2024"),
    ("31/03/2024, 09:05", "31 mars 2024, 09h05"),
    ("Fri, 29 Mar 2024 15:06:41", "ven., 29 mars 2024 15 h 06"),
    ("Friday, March 29, 2024 at 3:06:41 PM", "vendredi 29 mars 2024 \u00e0 15:06:41"),
    ("2024-03-29T08:06:41", "29/03/2024 08h06"),
    ("2024-03-29 09:06:41", "29 mars 2024 09h06"),
    ("1711724801", "29 mars 2024"),
    ("2019-05-29, 15:05", "29 mai 2019 15h05"),
)


def test_dates_of_another_language_are_read_or_refused(tmp_path: Path, name: str) -> None:
    """Each with its record, or the file with a word on it: none is left without, or guessed."""
    example = _example(name)
    text = example.given.lstrip()
    for written, foreign in DATES:
        text = text.replace(written, foreign)
    if text == example.given.lstrip():
        pytest.skip("the example has no date of these forms")
    whole = _read(
        tmp_path / "a", example.given.lstrip().encode(), _options(example, mapping_file=name)
    )
    try:
        parsed = _read(tmp_path / "a", text.encode(), _options(example, mapping_file=name))
    except SourceError:
        return
    assert all(one.row or one.problems or one.left_out is not None for one in parsed)
    known = {str(one.row.date)[:16] for one in whole if one.row}
    assert {str(one.row.date)[:16] for one in parsed if one.row} <= known
