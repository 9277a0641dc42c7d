from __future__ import annotations

import pytest
from msgspec import Struct
from steps_kit import HTML, answer

from leadconnector_async.api.effects import (
    StepFailedError,
    StepLagsError,
    StepRefusedError,
    content_of,
    refused,
)


class Thing(Struct):
    """Something with an id."""

    id: str


REFUSED = [(400, b'{"message":"no"}'), (404, b""), (413, HTML), (415, b"[]"), (422, b"{}")]
FAILED = [(408, b""), (500, b'{"message":"oops"}'), (502, HTML), (503, b"\xff"), (504, b"{")]
UNREADABLE = [b"", HTML, b"{}", b'{"id":1}', b"[]", b"\xff\xfe", b"[" * 100_000]


@pytest.mark.parametrize("status", [200, 201])
def test_a_success_is_read(status: int) -> None:
    """With either status."""
    assert content_of(answer(status, b'{"id":"x","more":1}'), Thing, "it").id == "x"


@pytest.mark.parametrize("body", UNREADABLE)
def test_a_success_that_cannot_be_read_may_be_another_time(body: bytes) -> None:
    """Nothing is known of what was done: it is asked for again."""
    with pytest.raises(StepFailedError, match=r"^it: the answer cannot be read$"):
        content_of(answer(200, body), Thing, "it")


@pytest.mark.parametrize(("status", "body"), REFUSED)
def test_a_refusal_is_for_good(status: int, body: bytes) -> None:
    """The text says what was refused, and in which words."""
    with pytest.raises(StepRefusedError, match=f"^it: {status} "):
        content_of(answer(status, body), Thing, "it")


@pytest.mark.parametrize(("status", "body"), FAILED)
def test_trouble_is_for_now(status: int, body: bytes) -> None:
    """A server that is in trouble, or that gave up waiting, says nothing of the record."""
    error = refused(answer(status, body), "it")
    assert isinstance(error, StepFailedError)
    assert str(error).startswith(f"it: {status} ")
    assert "<html>" not in str(error)


def test_what_lags_is_trouble_for_now() -> None:
    """So whoever knows no better tries again."""
    assert issubclass(StepLagsError, StepFailedError)
