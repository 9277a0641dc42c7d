"""Reading pages of the export that are not as the OpenAPI files have them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from leadconnector_async.api.listings import MessagePage, date_ms, read_messages

MOMENT = datetime(2024, 5, 1, 12, 30, tzinfo=UTC)


def page_of(*entries: object, **more: object) -> MessagePage:
    """The page that holds these entries."""
    return read_messages(json.dumps({"messages": entries, **more}).encode())


def test_an_odd_page_is_read_as_an_ordinary_one() -> None:
    """The nested listing, a numeric id and a numeric cursor mean the same as the flat texts."""
    entry = {"id": 12, "dateAdded": "2024-05-01T12:30:00Z", "body": "hi", "altId": "a"}
    odd = read_messages(
        json.dumps({"messages": {"messages": [entry]}, "nextCursor": 7, "total": "many"}).encode()
    )
    plain = page_of({**entry, "id": "12"}, nextCursor="7")
    assert odd.messages == plain.messages
    assert (odd.next_cursor, odd.total, odd.problems) == ("7", None, [])


@pytest.mark.parametrize(
    "date",
    [
        1_714_566_600_000,
        1_714_566_600,
        "1714566600000",
        1_714_566_600_000.0,
        "2024-05-01 12:30:00+00:00",
        "20240501T123000Z",
        "2024-05-01T15:30:00+03:00",
    ],
)
def test_a_date_may_be_an_epoch_or_another_form_of_iso(date: object) -> None:
    """Milliseconds and seconds are told apart by their size."""
    page = page_of({"id": "m", "dateAdded": date})
    (message,) = page.messages
    assert message.date_added is not None
    assert date_ms(message.date_added) == date_ms(MOMENT)
    assert not page.problems


@pytest.mark.parametrize(
    "date", ["yesterday", 10**30, 1e300, "9" * 40, -(10**18), {}, [], True, "2024-13-01T00:00:00Z"]
)
def test_a_date_that_is_none_is_the_entrys_problem_alone(date: object) -> None:
    """The message is there under its id, and its neighbor is not touched."""
    page = page_of({"id": "m", "dateAdded": date, "body": "text"}, {"id": "n", "dateAdded": 1})
    assert [message.id for message in page.messages] == ["m", "n"]
    assert page.messages[0].date_added is None
    assert page.problems == ["message m: dateAdded cannot be read"]


@pytest.mark.parametrize("entry", [None, 5, "m", [], {}, {"id": None}, {"id": ""}, {"id": {}}])
def test_an_entry_without_an_id_is_a_problem(entry: object) -> None:
    """What has no id can be compared with nothing, and is not passed over in silence."""
    page = page_of(entry, {"id": "n"})
    assert [message.id for message in page.messages] == ["n"]
    assert page.problems == ["an entry without an id"]


def test_a_problem_tells_no_text_and_moves_no_terminal() -> None:
    """An id is shown without control codes and cut; no body is."""
    (problem,) = page_of({"id": "\x1b[2J" + "i" * 500, "body": ["secret"]}).problems
    assert problem.endswith("i: body cannot be read")
    assert "secret" not in problem
    assert "\x1b" not in problem
    assert len(problem) < 100


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "an empty body"),
        (b" \n", "an empty body"),
        (b"<!DOCTYPE html><html></html>", "an HTML page"),
        (b"\n<HTML>", "an HTML page"),
        (b"\x00\xff{", "no JSON"),
        (b'{"messages": "\xff"}', "no JSON"),
        (b'{"messages": "\\ud800"}', "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"messages": null}', "JSON without a list of messages"),
        (b'{"messages": {"messages": {}}}', "JSON without a list of messages"),
        (b"{}", "JSON without a list of messages"),
        (b"[]", "JSON without a list of messages"),
        (b"12", "JSON without a list of messages"),
    ],
)
def test_what_is_no_page_is_named(body: bytes, what: str) -> None:
    """The error says what came instead, and quotes none of it."""
    with pytest.raises(ValueError, match=f"^{what}$"):
        read_messages(body)


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)

_entries = st.dictionaries(
    st.sampled_from(["id", "dateAdded", "body", "altId", "direction", "messageType", "meta"]),
    _json,
)


@pytest.mark.slow
@given(st.lists(_entries | _json, max_size=5), _json, _json)
def test_each_entry_is_a_message_or_a_problem(entries: list[Any], cursor: Any, total: Any) -> None:  # noqa: ANN401 - any JSON
    """Nothing in a list is passed over, and nothing is a traceback."""
    page = page_of(*entries, nextCursor=cursor, total=total)
    homeless = page.problems.count("an entry without an id")
    assert len(page.messages) + homeless == len(entries)
