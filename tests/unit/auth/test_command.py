from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from leadconnector_async.auth.provider import CommandToken
from leadconnector_async.errors import AccessError

if TYPE_CHECKING:
    from pathlib import Path


def python(code: str, *, seconds: float = 60.0) -> CommandToken:
    """The token that a program in Python prints. To be made within a loop."""
    argv = [sys.executable, "-c", code]
    return CommandToken(argv, "location L", asyncio.Semaphore(1), seconds=seconds)


def test_the_first_line_is_the_token_and_the_command_runs_once(tmp_path: Path) -> None:
    """However many ask at the same time, or later."""
    runs = tmp_path / "runs"
    code = f"open({str(runs)!r}, 'a').write('x'); print('pit-1\\r\\nuser: me')"

    async def scenario() -> None:
        tokens = python(code)
        found = await asyncio.gather(*(tokens.token("L") for _ in range(20)))
        assert set(found) == {await tokens.token("L")} == {"pit-1"}
        assert await tokens.renew("L", "pit-1") is None
        assert "pit" not in repr(tokens)

    asyncio.run(scenario())
    assert runs.read_text() == "x"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('secret'); raise SystemExit(3)", "ended with exit status 3"),
        ("print(); print('secret')", "printed no token in its first line"),
        ("print('secret words')", "printed no token in its first line"),
    ],
)
def test_a_command_that_fails_is_told_without_its_output(code: str, said: str) -> None:
    """With the location and what to do; it is not run again for the next request."""

    async def scenario() -> None:
        tokens = python(code)
        for _ in range(2):
            with pytest.raises(AccessError) as caught:
                await tokens.token("L")
            assert f"the token_command of location L {said}: run it by hand" in str(caught.value)
            assert "secret" not in str(caught.value)

    asyncio.run(scenario())


def test_a_command_that_does_not_end_is_ended() -> None:
    """After its time."""

    async def scenario() -> None:
        tokens = python("import time; print('secret', flush=True); time.sleep(600)", seconds=0.05)
        with pytest.raises(AccessError, match=r"has not ended in 0\.05 s"):
            await tokens.token("L")

    asyncio.run(scenario())


def test_a_program_that_is_not_there_is_told() -> None:
    """And no shell is asked for it."""

    async def scenario() -> None:
        tokens = CommandToken(["no-such-program; echo x"], "location L", asyncio.Semaphore(1))
        with pytest.raises(AccessError, match=r"cannot be run \(No such file"):
            await tokens.token("L")

    asyncio.run(scenario())
