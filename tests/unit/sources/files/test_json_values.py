from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from leadconnector_async.sources.base import LINE_LIMIT
from leadconnector_async.sources.files.byte_stream import TooLong
from leadconnector_async.sources.files.json_values import JsonValues, opening_value

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXTS = st.text(max_size=6) | st.sampled_from(['"', "\\", "{", "]", "a\nb", "\\u00e9"])
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=5)


def _cut(text: bytes, size: int) -> Iterator[bytes]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _split(text: bytes, *records: str, size: int = 1 << 18) -> tuple[list[Any], JsonValues]:
    values = JsonValues(_cut(text, size), records)
    return list(values), values


@pytest.mark.slow
@given(RECORDS, st.sampled_from([None, 1, "\t"]), st.integers(1, 40), st.booleans())
def test_records_come_as_they_stand_wherever_the_pieces_end(
    records: list[dict[str, Any]],
    indent: int | str | None,
    size: int,
    wrapped: bool,  # noqa: FBT001 - drawn
) -> None:
    """Each once, in order, on the line where it begins, in a list or in a list of an object."""
    value = {"page": {"size": 5}, "messages": records, "next": None} if wrapped else records
    path = "messages[*]" if wrapped else "[*]"
    text = json.dumps(value, indent=indent).encode()
    found, values = _split(text, path, size=size)
    assert values.problem is None
    assert [json.loads(raw) for _, raw in found] == records
    lines = text.split(b"\n")
    for line, raw in found:
        assert raw.split(b"\n")[0] in lines[line - 1]
    assert _split(text * 3, path, size=size)[0][: len(found)] == found
    assert len(_split(text * 3, path, size=size)[0]) == 3 * len(found)


def test_records_before_a_cut_are_whole() -> None:
    """And the cut is a problem of the file."""
    text = json.dumps({"messages": [{"n": n, "t": "}"} for n in range(3)]}).encode()
    for end in range(1, len(text)):
        found, values = _split(text[:end], "messages[*]", size=7)
        assert [json.loads(raw)["n"] for _, raw in found] == list(range(len(found)))
        assert values.problem is not None
        assert str(values.problem).startswith("file ends in the middle of its JSON (line 1)")
    assert _split(text, "messages[*]")[1].problem is None


@pytest.mark.parametrize("text", [b'[{"a":1}}', b'{"a":[1}', b"]", b'[{"a":[1}]', b"[" * 100])
def test_brackets_that_do_not_match_end_the_reading(text: bytes) -> None:
    """Nothing after them can be told apart; nesting has a limit."""
    _, values = _split(text, "[*]", "x[*]")
    assert values.problem is not None
    assert values.problem.field == "file"


def test_what_stands_where_records_are_is_never_lost() -> None:
    """Texts, numbers, lists, and values beside the list."""
    text = b'[{"a":1}, "x", 12, null, [3], {"b":2}]\n{"c":3} rest'
    found, values = _split(text, "[*]", size=3)
    assert [raw for _, raw in found] == [
        *(b'{"a":1}', b'"x"', b"12", b"null", b"[3]", b'{"b":2}'),
        *(b'{"c":3}', b"rest"),
    ]
    assert values.problem is None
    assert [line for line, _ in found] == [1] * 6 + [2] * 2


def test_objects_of_other_lists_are_counted() -> None:
    """They are not read, and that is to be told."""
    text = b'{"users":[{"id":1},{"id":2}],"messages":[{"a":[{"b":1}]}],"x":{"y":[{"z":1}]}}'
    found, values = _split(text, "messages[*]")
    assert [raw for _, raw in found] == [b'{"a":[{"b":1}]}']
    assert values.others == {"users[*]": 2, "x.y[*]": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [b'\\"', b"x\n", *(pytest.param(of, marks=pytest.mark.full) for of in (b"x", b"\\\\", b"{"))],
)
def test_a_record_that_is_too_long_costs_itself(piece: bytes) -> None:
    """Without being held: its length is told, and the next one is read, on its line."""
    text = b'[{"t":"' + piece * (LINE_LIMIT // len(piece) * 5 // 4) + b'"},\n{"b":2}]'
    pieces = _cut(text, 100_001)
    values = JsonValues(pieces, ["[*]"])
    items = iter(values)
    _, raw = next(items)
    assert isinstance(raw, TooLong)
    assert raw.length == text.index(b",\n{") - 1
    assert len(values._buffer) < LINE_LIMIT
    (second,) = items
    assert second == (text.count(b"\n") + 1, b'{"b":2}')
    assert values.problem is None


def test_the_opening_of_a_text_is_read_as_far_as_it_goes() -> None:
    """To judge a file by its first piece."""
    value = {"a": 1, "b": [{"c": "x,]", "d": [1, 2]}, {"c": 2}]}
    text = json.dumps(value).encode()
    assert opening_value(text + b" {}") == value
    for end in range(1, len(text)):
        found = opening_value(text[:end])
        assert found is None or found == {} or set(found) <= {"a", "b"}  # type: ignore[call-overload]
    assert opening_value(text[:-4]) == value | {"b": [value["b"][0], {}]}  # type: ignore[index]
    assert opening_value(b"nothing") is None
