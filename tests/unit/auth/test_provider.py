from __future__ import annotations

import asyncio

import pytest
from rich.pretty import pretty_repr

from leadconnector_async.auth.provider import StaticToken, TokenProvider

TOKEN = "pit-4e1c9f"


def test_a_static_token_is_the_same_for_all() -> None:
    """One token, whatever the location, and no successor when it is refused."""

    async def use(tokens: TokenProvider) -> None:
        assert await tokens.token("l1") == TOKEN
        assert await tokens.token("l2") == TOKEN
        assert await tokens.renew("l1", TOKEN) is None

    asyncio.run(use(StaticToken(TOKEN)))


@pytest.mark.parametrize(
    "wrong", ["", " ", f"{TOKEN}\n", f" {TOKEN}", "a b", "pit-ü", "a\0b", "a\x1b", "Bearer x"]
)
def test_a_text_that_is_no_token_is_refused(wrong: str) -> None:
    """A stray line break or space is told at once, without repeating the token."""
    with pytest.raises(ValueError, match="no token has") as caught:
        StaticToken(wrong)
    assert TOKEN not in str(caught.value)


def test_a_token_is_not_shown() -> None:
    """Neither by repr nor by a pretty printer."""
    tokens = StaticToken(TOKEN)
    for shown in (repr(tokens), str(tokens), f"{tokens}", pretty_repr(tokens)):
        assert TOKEN not in shown
