from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest
from rich.pretty import pretty_repr

from leadconnector_async.auth.provider import (
    AccessToken,
    CommandToken,
    StaticToken,
    TokenCache,
    TokenProvider,
    lasting,
)
from leadconnector_async.errors import AccessError, NotSentError
from leadconnector_async.models import Refusal

if TYPE_CHECKING:
    from pathlib import Path

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


class Source:
    """Gives numbered tokens that live 100 s, when it is let."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.refusals: list[str | None] = []
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def clock(self) -> float:
        """Seconds."""
        return self.now

    async def fetch(self, refused: str | None) -> AccessToken:
        """The next token."""
        self.refusals.append(refused)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return lasting(f"t{len(self.refusals)}", self.now, 100.0)


async def test_a_token_is_renewed_ahead_of_its_end() -> None:
    """A tenth of its life, or ten minutes."""
    assert lasting("t", 1000.0, 100.0) == AccessToken("t", 1090.0, 1100.0)
    assert lasting("t", 0.0, 86_400.0) == AccessToken("t", 85_800.0, 86_400.0)
    source = Source()
    cache = TokenCache(source.fetch, source.clock)
    assert [await cache.token(), await cache.token()] == ["t1", "t1"]
    source.now += 89
    assert await cache.token() == "t1"
    source.now += 1
    assert await cache.token() == "t2"


async def test_many_who_ask_cause_one_fetch() -> None:
    """Whether they have no token, or one that was refused."""
    source = Source()
    cache = TokenCache(source.fetch, source.clock)
    assert set(await asyncio.gather(*(cache.token() for _ in range(200)))) == {"t1"}
    renewed = await asyncio.gather(*(cache.renew("t1") for _ in range(200)))
    assert set(renewed) == {"t2"}
    assert await cache.renew("t1") == "t2"
    assert source.refusals == [None, "t1"]


async def test_a_caller_that_is_cancelled_cuts_nothing_off() -> None:
    """The fetch goes on; `settle` waits for it."""
    source = Source()
    source.gate.clear()
    cache = TokenCache(source.fetch, source.clock)
    caller = asyncio.create_task(cache.token())
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    source.gate.set()
    await cache.settle()
    assert await cache.token() == "t1"
    assert len(source.refusals) == 1


@pytest.mark.parametrize(
    "error", [NotSentError("down"), AccessError(Refusal(status=400, message="used up"))]
)
async def test_while_there_is_no_new_token_the_old_one_serves_to_its_end(error: Exception) -> None:
    """It is asked again after a while, not for each request."""
    source = Source()
    cache = TokenCache(source.fetch, source.clock)
    await cache.token()
    source.now, source.error = 1095.0, error
    assert [await cache.token() for _ in range(5)] == ["t1"] * 5
    assert len(source.refusals) == 2
    source.now = 1100.0
    with pytest.raises(type(error)):
        await cache.token()
    source.error = None
    assert await cache.token() == "t4"


async def test_a_refusal_reaches_all_who_wait() -> None:
    """And the next to ask has the source asked again."""
    source = Source()
    source.error = AccessError(Refusal(status=401, message="no"))
    cache = TokenCache(source.fetch, source.clock)
    results = await asyncio.gather(*(cache.token() for _ in range(3)), return_exceptions=True)
    assert results == [source.error] * 3
    source.error = None
    assert await cache.token() == "t2"


async def test_a_keeper_shows_no_token() -> None:
    """Nor does what it holds."""
    source = Source()
    cache = TokenCache(source.fetch, source.clock)
    token = await cache.token()
    assert f"'{token}'" not in repr(cache) + repr(AccessToken(token))
    assert "t1" not in repr(cache)


def python(code: str, *, seconds: float = 60.0) -> CommandToken:
    """The token that a program in Python prints. To be made within a loop."""
    argv = [sys.executable, "-c", code]
    return CommandToken(argv, "location L", asyncio.Semaphore(1), seconds=seconds)


async def test_the_first_line_is_the_token_and_the_command_runs_once(tmp_path: Path) -> None:
    """However many ask at the same time, or later."""
    runs = tmp_path / "runs"
    code = f"open({str(runs)!r}, 'a').write('x'); print('pit-1\\r\\nuser: me')"
    tokens = python(code)
    found = await asyncio.gather(*(tokens.token("L") for _ in range(20)))
    assert set(found) == {await tokens.token("L")} == {"pit-1"}
    assert await tokens.renew("L", "pit-1") is None
    assert "pit" not in repr(tokens)
    assert runs.read_text() == "x"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('secret'); raise SystemExit(3)", "ended with exit status 3"),
        ("print(); print('secret')", "printed no token in its first line"),
        ("print('secret words')", "printed no token in its first line"),
    ],
)
async def test_a_command_that_fails_is_told_without_its_output(code: str, said: str) -> None:
    """With the location and what to do; it is not run again for the next request."""
    tokens = python(code)
    for _ in range(2):
        with pytest.raises(AccessError) as caught:
            await tokens.token("L")
        assert f"the token_command of location L {said}: run it by hand" in str(caught.value)
        assert "secret" not in str(caught.value)


async def test_a_command_that_does_not_end_is_ended() -> None:
    """After its time."""
    tokens = python("import time; print('secret', flush=True); time.sleep(600)", seconds=0.05)
    with pytest.raises(AccessError, match=r"has not ended in 0\.05 s"):
        await tokens.token("L")


async def test_a_program_that_is_not_there_is_told() -> None:
    """And no shell is asked for it."""
    tokens = CommandToken(["no-such-program; echo x"], "location L", asyncio.Semaphore(1))
    with pytest.raises(AccessError, match=r"cannot be run \(No such file"):
        await tokens.token("L")
