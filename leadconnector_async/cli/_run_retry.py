"""What ``leadconnector retry`` does."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from leadconnector_async._errors import OutboxUnusable
from leadconnector_async._outbox.sqlite import SqliteOutbox
from leadconnector_async.cli._prose import say
from leadconnector_async.cli._report import print_json
from leadconnector_async.cli._words import counted

if TYPE_CHECKING:
    from leadconnector_async._outbox.retrying import Retried


def retry(outbox: str, *, as_json: bool) -> None:
    """Put back, and print what came of it.

    Raises:
        OutboxError: the outbox does not exist, or cannot be used.
    """
    if not Path(outbox).exists():
        raise OutboxUnusable(f"{outbox} does not exist: give the outbox of an earlier import")
    retried = asyncio.run(_retry(outbox))
    if as_json:
        print_json(retried._asdict())
        return
    if not any(retried):
        say("Nothing has failed.")
    if retried.pending:
        say(f"{counted(retried.pending, 'record')} will be sent again.")
    if retried.unknown:
        say(f"{counted(retried.unknown, 'record')} will be looked for, and sent if not there.")
    if retried.pending or retried.unknown:
        say("The same import again does so.")
    if retried.refused:
        are = "is wrong itself, and stays"
        if retried.refused > 1:
            are = "are wrong themselves, and stay"
        say(
            f"{counted(retried.refused, 'record')} {are} failed: "
            f"leadconnector failed --outbox {shlex.quote(outbox)} -o FILE"
        )
    if retried.left:
        say(f"{counted(retried.left, 'record')} more stay unresolved until the next retry.")


async def _retry(outbox: str) -> Retried:
    async with await SqliteOutbox.open(outbox) as store:
        return await store.retry()
