from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from leadconnector_async.models import MESSAGE_TYPES
from leadconnector_async.sources.fields import (
    WrongValueError,
    kind_of,
    read_list,
    read_own_id,
    read_text,
)
from leadconnector_async.sources.mappings.coerce import reader_of

if TYPE_CHECKING:
    from collections.abc import Callable


def test_every_kind_of_json_has_a_name() -> None:
    """A problem says what a value is, without a word of what it holds."""
    values = [None, True, 1, 1.5, "x", ["x"], {"x": 1}]
    assert [kind_of(value) for value in values] == [
        "is null",
        "is true or false",
        "is a number",
        "is a number",
        "is text",
        "is a list",
        "is an object",
    ]


@pytest.mark.parametrize("text", ["", " hi ", "a\nb\tc", "😀", "\ufffd"])
def test_text_stays_as_it_is(text: str) -> None:
    """Nothing is stripped, normalised or replaced."""
    assert read_text(text) == text


def test_own_ids_may_be_integers() -> None:
    """A database's key is often a number; as text it is the same key."""
    assert read_own_id(42) == read_own_id("42") == "42"


def test_an_empty_list_is_none() -> None:
    """The API answers 422 to an empty list, so the key is left out."""
    assert read_list([]) is None
    assert read_list(["a", "b"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("reader", "value", "wrong"),
    [
        (read_text, 5, "is a number"),
        (read_text, "a\0b", "has a NUL character at position 2"),
        (read_own_id, True, "is true or false"),
        (read_own_id, 1.0, "is a number"),
        (read_list, "a;b", "is text"),
        (read_list, ["a", None], "item 2 is null"),
        (read_list, ["a\0"], "item 1 has a NUL character at position 2"),
    ],
)
def test_wrong_shapes_are_refused(
    reader: Callable[[object], object], value: object, wrong: str
) -> None:
    """No value is bent into the type of its field."""
    with pytest.raises(WrongValueError) as caught:
        reader(value)
    assert caught.value.wrong == wrong


def test_words_are_case_sensitive_and_suggested() -> None:
    """The API's type names are case-sensitive: another case is an error that is easy to mend."""
    read = reader_of(MESSAGE_TYPES)
    assert [read(name) for name in MESSAGE_TYPES] == list(MESSAGE_TYPES)
    with pytest.raises(WrongValueError) as caught:
        read("whatsapp")
    assert (caught.value.wrong, caught.value.fix) == ('is "whatsapp"', 'write "WhatsApp"')


def test_words_that_are_no_words_are_not_quoted() -> None:
    """Where columns are shifted, the field of the type holds the text of a message."""
    with pytest.raises(WrongValueError) as caught:
        reader_of(MESSAGE_TYPES)("call me at nine")
    assert caught.value.wrong == "is text of 15 characters"
