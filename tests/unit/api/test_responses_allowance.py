from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from multidict import CIMultiDict

from leadconnector_async.api.responses import SILENT, read_rate_limit_headers
from leadconnector_async.models import RateLimitHeaders
from leadconnector_async.transport.http1 import AnswerHeaders

NAMES = {
    "X-RateLimit-Max": "max",
    "X-RateLimit-Remaining": "remaining",
    "X-RateLimit-Interval-Milliseconds": "interval_ms",
    "X-RateLimit-Limit-Daily": "daily_limit",
    "X-RateLimit-Daily-Remaining": "daily_remaining",
    "X-RateLimit-Daily-Reset": "daily_reset_ms",
}


def test_all_headers_are_read() -> None:
    """The five documented ones, and the one that is not."""
    headers = {name: str(9 - number) for number, name in enumerate(NAMES)}
    assert read_rate_limit_headers(headers) == RateLimitHeaders(
        max=9, remaining=8, interval_ms=7, daily_limit=6, daily_remaining=5, daily_reset_ms=4
    )


def test_headers_are_read_as_they_came() -> None:
    """In any case, with blanks around them; of one that is there twice the first."""
    lines = "X-RATELIMIT-MAX:100 \r\nx-ratelimit-remaining: \t99\r\nX-RateLimit-Max: 7\r\n"
    headers = AnswerHeaders(f"HTTP/1.1 201\r\nX-RateLimit-Daily-Reset: soon\r\n{lines}".encode())
    assert read_rate_limit_headers(headers) == RateLimitHeaders(max=100, remaining=99)


@pytest.mark.parametrize("remaining", [2, 5000])
def test_more_than_all_cannot_remain(remaining: int) -> None:
    """Figures that contradict each other are no news, neither of them."""
    headers = {
        "X-RateLimit-Max": "1",
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Limit-Daily": "1",
        "X-RateLimit-Daily-Remaining": str(remaining),
    }
    assert read_rate_limit_headers(headers) == SILENT


def test_a_day_of_nothing_is_none() -> None:
    """It contradicts the answer that it comes with; what remains of it would stop the location."""
    headers = {"X-RateLimit-Limit-Daily": "0", "X-RateLimit-Daily-Remaining": "0"}
    assert read_rate_limit_headers(headers) == SILENT
    spent = read_rate_limit_headers({"X-RateLimit-Daily-Remaining": "0"})
    assert spent == RateLimitHeaders(daily_remaining=0)


def test_an_answer_may_say_nothing() -> None:
    """Any header may be missing."""
    assert read_rate_limit_headers({}) == SILENT == RateLimitHeaders()


@pytest.mark.parametrize(("header", "field"), NAMES.items())
def test_headers_are_read_one_by_one(header: str, field: str) -> None:
    """Whatever else is missing, and in any case where the mapping knows none."""
    for name in (header, header.lower()):
        rate_limits = read_rate_limit_headers(CIMultiDict({name: "25"}))
        assert rate_limits == RateLimitHeaders(**{field: 25})


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        " ",
        "-1",
        "+5",
        "1.5",
        "1e3",
        "0x10",
        "ten",
        "٣",
        "²",
        "1_000",
        "99999999999",
        "9" * 5000,
    ],
)
def test_garbage_reads_as_missing(garbage: str) -> None:
    """A figure is a few ASCII digits; nonsense is nothing to go by."""
    assert read_rate_limit_headers(dict.fromkeys(NAMES, garbage)) == SILENT


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("007", 7), ("10000000000", 10**10), ("10000000001", None)],
)
def test_the_largest_figure_is_a_third_of_a_year(text: str, value: int | None) -> None:
    """Up to the limit a figure counts, beyond it is garbage."""
    assert read_rate_limit_headers({"X-RateLimit-Max": text}).max == value


@given(st.dictionaries(st.sampled_from(sorted(NAMES)), st.text() | st.integers().map(str)))
def test_reading_never_fails(headers: dict[str, str]) -> None:
    """Each figure is None or within bounds, whatever the headers hold."""
    rate_limits = read_rate_limit_headers(headers)
    for field in NAMES.values():
        value = getattr(rate_limits, field)
        assert value is None or 0 <= value <= 10**10
