from __future__ import annotations

import json
from typing import Any

import pytest
from bad_inputs import parse, record
from hypothesis import given, strategies as st

from leadconnector_async.sources import SourceOptions
from leadconnector_async.sources.files.encoding import (
    ESCAPED,
    GARBLED,
    MENDED,
    NULS,
    UNESCAPED,
    escaped_oddly,
    garbled_perhaps,
    mended,
)
from leadconnector_async.sources.formats.json_objects import HALF

REPAIR = SourceOptions(repair_text=True)
MEANT = ["café", "naïve façade", "😀", "“quoted” \u2013 it\u2019s €5", "Привет", "日本語", "à"]


@pytest.mark.parametrize("text", MEANT)
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_text_that_was_decoded_wrongly_is_mended(text: str, encoding: str) -> None:
    """Once, or twice over; and a second time is nothing to do."""
    raw = text.encode()
    wrong = "".join(bytes([b]).decode(encoding, "ignore") or chr(b) for b in raw)
    assert mended(wrong) == text
    assert mended(wrong.encode().decode("latin-1")) == text
    assert mended(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *("plain", "café", "À LA CARTE", "NÃO", "«CAFÉ»", "CAFÉ»", "Ü » Ö", "Ã", "10 °C", "©"),
        *("Ã©t with real “quotes” — and 日本", "MANHÃ de sol, será?", "ÄÖÜ", "½ £", "ß"),
    ],
)
def test_text_that_is_as_it_should_be_is_left(text: str) -> None:
    """Only what goes back to bytes as a whole, and these are UTF-8, is garbled."""
    assert mended(text) is None


@given(st.text(max_size=8))
def test_each_text_that_is_mended_may_be_garbled(text: str) -> None:
    """The quick look at a line of JSON passes none over, in UTF-8 or in escapes."""
    wrong = text.encode("utf-8", "replace").decode("latin-1")
    if mended(wrong) is not None:
        assert escaped_oddly(json.dumps(wrong).encode())
        assert garbled_perhaps(json.dumps(wrong, ensure_ascii=False).encode())


def _read(options: SourceOptions | None = None, **fields: Any) -> tuple[Any, tuple[str, ...]]:  # noqa: ANN401
    row: Any = None
    for ascii_only in (True, False):
        line = json.dumps(record(**fields), ensure_ascii=ascii_only).encode(
            "utf-8", "surrogatepass"
        )
        if "\ud83d" in str(fields):
            line = json.dumps(record(**fields)).encode()
        (one,), _ = parse(line, ".jsonl", options)
        row = one.row
    return row, one.notices


def test_it_is_told_and_mended_if_asked() -> None:
    """In texts and names; the number of records and their lines are counted from the notices."""
    row, notices = _read(message="cafÃ©")
    assert (row.message, notices) == ("cafÃ©", (GARBLED,))
    row, notices = _read(
        REPAIR, message="cafÃ©", contact={"phone": "+12125550100", "name": "JosÃ©"}
    )
    assert (row.message, row.contact.name, notices) == ("café", "José", (MENDED, MENDED))
    assert _read(message="café")[1] == ()


def test_escapes_of_html_in_a_text_are_told_and_read_if_asked() -> None:
    """A text that only looks like one stays, and HTML is meant to have them."""
    text = "Tom &amp; Jerry&#39;s &#128512; R&D &copy=1"
    row, notices = _read(message=text)
    assert (row.message, notices) == (text, (ESCAPED,))
    row, notices = _read(REPAIR, message=text)
    assert (row.message, notices) == ("Tom & Jerry's 😀 R&D &copy=1", (UNESCAPED,))
    row, notices = _read(REPAIR, type="Email", message="R&D", html="<p>R&amp;D</p>")
    assert (row.message, row.html, notices) == ("R&D", "<p>R&amp;D</p>", ())


def test_half_a_character_is_told() -> None:
    """UTF-8 cannot hold it: the sign for what cannot be shown is sent in its place."""
    row, notices = _read(message="a \ud83d b")
    assert (row.message, notices) == ("a \ufffd b", (HALF,))


def test_nul_characters_are_taken_out_if_asked() -> None:
    """Else the record is refused, with that advice."""
    row, notices = _read(REPAIR, message="a\0b")
    assert (row.message, notices) == ("ab", (NULS,))
    (one,), _ = parse(json.dumps(record(message="a\0b")).encode(), ".jsonl")
    assert str(one.problems[0]) == (
        "message has a NUL character at position 2: remove it, or give --repair-text"
    )
