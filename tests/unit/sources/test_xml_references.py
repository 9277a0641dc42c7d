from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadconnector_async.sources.xml import mended_references

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


@settings(deadline=None)  # other work on the machine must not fail it
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
