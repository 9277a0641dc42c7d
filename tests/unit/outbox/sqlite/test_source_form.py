from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from leadconnector_async.outbox.sqlite import source_form
from leadconnector_async.outbox.sqlite.source_form import SourceForms, restored

if TYPE_CHECKING:
    from leadconnector_async.outbox.sqlite.source_form import Stored

BODY = {
    "type": "Email",
    "contactId": "23b61754abd9bc62356c",
    "direction": "inbound",
    "date": "2024-03-01T09:09:47Z",
    "html": '<p class="x">na\u00efve \U0001f60a\\ \n\t' + "long " * 500 + "</p>",
}
FIELDS = {"id": "m1", "locationId": "l1", **BODY}
KEY = b"im1"


def kept(raw: bytes, body: bytes, key: bytes = KEY, location: str = "l1") -> tuple[Stored, bytes]:
    """How a line is stored, the second of its shape as the first, and the line that comes back."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE shape (id INTEGER PRIMARY KEY, text BLOB NOT NULL)")
        forms = SourceForms(connection)
        stored = forms.stored(raw, body, key, location)
        assert forms.stored(raw, body, key, location) == stored
        query = f"SELECT text FROM (SELECT ? AS raw) {source_form.WITH_SHAPE}"  # noqa: S608 - our own
        (shape,) = connection.execute(query, (stored,)).fetchone()
        again = restored(stored, shape, body, key, location)
    assert again is not None
    return stored, again


def compact(value: object) -> bytes:
    """JSON as bodies have it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


LINES: dict[str, Any] = {
    "the body with an id before it": compact(FIELDS),
    "with spaces": json.dumps(FIELDS, ensure_ascii=False).encode(),
    "in another order": json.dumps(dict(reversed(FIELDS.items())), ensure_ascii=False).encode(),
    "in ASCII": json.dumps(FIELDS).encode(),
    "cells of CSV": compact([*FIELDS.values(), ""]),
    "another date, and a number": compact(FIELDS | {"date": "1 March 2024", "number": -12.5}),
}


@pytest.mark.parametrize("raw", LINES.values(), ids=LINES)
def test_a_text_stands_once(raw: bytes) -> None:
    """Of a line whose texts are in the body, some bytes are left; it comes back byte for byte."""
    stored, again = kept(raw, compact(BODY))
    assert again == raw
    assert isinstance(stored, int) or len(stored or b"") < 40


def test_each_line_comes_back_beside_others_that_are_much_alike() -> None:
    """A line is compared with the last one: of another location, or with its id elsewhere too."""
    said = [
        ("l1", {"id": "m1", "locationId": "l1"}),
        ("l2", {"id": "m2", "locationId": "l2"}),
        ("l1", {"id": "m3", "locationId": "l2"}),
        ("l2", {"note": "m4", "id": "m4", "locationId": "l2"}),
        ("l2", {"note": "m4", "id": "m5", "locationId": "l2"}),
        ("l2", {"note": "m6", "id": "m6", "locationId": "l2"}),
        ("l2", {"id": "m\0017", "locationId": "l2"}),
        ("l1", {"id": "m8", "locationId": "l1"}),
    ]
    body = compact(BODY)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE shape (id INTEGER PRIMARY KEY, text BLOB NOT NULL)")
        forms = SourceForms(connection)
        query = f"SELECT text FROM (SELECT ? AS raw) {source_form.WITH_SHAPE}"  # noqa: S608 - our own
        for location, head in said * 2:
            raw, key = compact(head | BODY), b"i" + head["id"].encode()
            stored = forms.stored(raw, body, key, location)
            (shape,) = connection.execute(query, (stored,)).fetchone()
            assert restored(stored, shape, body, key, location) == raw


def test_a_long_text_that_the_body_spells_otherwise_is_packed() -> None:
    """It cannot stand once; it takes less room than it is long."""
    raw = compact(FIELDS | {"html": "other words, and again. " * 500})
    stored, again = kept(raw, compact(BODY))
    assert again == raw
    assert isinstance(stored, bytes)
    assert len(stored) < len(raw) / 10


ODD = [b"\0zlib\0no", b"\0zlib\0" * 300, b"\xff\xfe", b'{"a":"\x01"}', b""]


@pytest.mark.parametrize("raw", ODD)
def test_what_is_no_json_comes_back_as_it_was(raw: bytes) -> None:
    """Whatever a plug-in takes for the form of its records, and whatever was refused."""
    assert kept(raw, compact(BODY))[1] == raw
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE shape (id INTEGER PRIMARY KEY, text BLOB NOT NULL)")
        refused = SourceForms(connection).stored(raw, None, KEY, "l1")
    assert restored(refused, None, None, KEY, "l1") == raw


def test_a_line_of_an_older_format_is_read_as_it_is() -> None:
    """It is a BLOB, even one that begins as a packed line does."""
    for raw in (b"\0zlib\0no", b"12", compact(FIELDS)):
        assert restored(raw, None, compact(BODY), KEY, "l1") == raw


def test_shapes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each record has names of its own, its line is kept with it."""
    monkeypatch.setattr(source_form, "_MAX_SHAPES", 3)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE shape (id INTEGER PRIMARY KEY, text BLOB NOT NULL)")
        forms = SourceForms(connection)
        for n in range(9):
            raw = compact({f"name {n}": os.urandom(4).hex()})
            assert (type(forms.stored(raw, b"{}", KEY, "l1")) is bytes) is (n >= 3)
        assert connection.execute("SELECT count(*) FROM shape").fetchone() == (3,)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    value=st.dictionaries(st.text(), json_values, max_size=6),
    said=st.dictionaries(st.text(), st.text(), max_size=30),
    style=st.sampled_from([(True, None), (False, None), (False, (",", ":")), (True, (",", ":"))]),
    key=st.binary(max_size=8),
    location=st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
)
def test_any_line_comes_back_byte_for_byte(
    value: dict[str, Any],
    said: dict[str, str],
    style: tuple[bool, tuple[str, str] | None],
    key: bytes,
    location: str,
) -> None:
    """Whatever the line, the body, the key and the location have in common."""
    ascii_only, separators = style
    record = value | said | {"l": location}
    raw = json.dumps(record, ensure_ascii=ascii_only, separators=separators)
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    line = raw.encode("utf-8", "surrogatepass")
    assert kept(line, body.encode("utf-8", "surrogatepass"), b"i" + key, location)[1] == line
    assert kept(key, key, key, location)[1] == key
