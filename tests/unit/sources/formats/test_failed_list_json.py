from __future__ import annotations

import pytest

from leadconnector_async.sources.formats.failed_list import as_it_stands, is_unreadable


@pytest.mark.parametrize(
    ("raw", "record"),
    [
        (b'{"a":1}', {"a": 1}),
        (b'{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'{"a":"caf\xe9"}', {"a": "caf\udce9"}),
        (b'{"a":"\\ud800"}', {"a": "\ud800"}),
        (b'{"a":', '{"a":'),
        (b'{"a":1,"a":2}', '{"a":1,"a":2}'),
        (b"[1]", "[1]"),
        (b"caf\xe9", "caf\udce9"),
        (b"[" * 100_000, "[" * 100_000),
        (b'{"a":' + b"1" * 5000 + b"}", '{"a":' + "1" * 5000 + "}"),
    ],
)
def test_what_can_be_read_is_read_and_the_rest_is_text(raw: bytes, record: object) -> None:
    """More than the reader of records takes: a list of failed ones is to lose nothing."""
    assert as_it_stands(raw) == record


def test_stand_ins_have_a_text_and_no_field() -> None:
    """A record with a ``raw`` of its own is a record."""
    assert is_unreadable({"error": "e", "outboxKey": "k", "line": 3, "raw": "{"})
    assert not is_unreadable({"raw": "{", "type": "SMS"})
    assert not is_unreadable({"raw": {"a": 1}})
