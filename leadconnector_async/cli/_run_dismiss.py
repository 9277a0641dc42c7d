"""What ``leadconnector failed --dismiss`` does."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from leadconnector_async._errors import OutboxUnusable
from leadconnector_async._importing.standing import standing_of
from leadconnector_async._outbox.reasons import gist
from leadconnector_async._outbox.sqlite import SqliteOutbox
from leadconnector_async._records import key_from_text
from leadconnector_async.cli._prose import say
from leadconnector_async.cli._report import reason_lines
from leadconnector_async.cli._words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from leadconnector_async._importing.reasons import Reason

_KEY: Final = "outboxKey"
_DELIMITERS: Final = ",;\t|"


def run(outbox: str, what: str) -> None:
    """Give up what failed for a reason, or what a list names, and print what it was.

    Raises:
        OutboxError: the outbox does not exist, or cannot be used.
        click.ClickException: there is no such reason, or it is not the only one.
    """
    if not Path(outbox).exists():
        raise OutboxUnusable(f"{outbox} does not exist: give the outbox of an earlier import")
    if Path(what).is_file():
        keys = list(_keys_of(what))
        dismissed = asyncio.run(_dismiss(outbox, keys=keys))
        say(f"{counted(dismissed, 'record')} of the {len(keys):,} in {what} dismissed.")
        return
    chosen = _matching(outbox, what)
    dismissed = asyncio.run(_dismiss(outbox, gists={gist(reason.reason) for reason in chosen}))
    say(f"{counted(dismissed, 'record')} dismissed:")
    for line in reason_lines(chosen):
        say(line)


def _matching(outbox: str, what: str) -> list[Reason]:
    """The one reason that holds these words. It is told twice where records ended in two ways."""
    reasons = standing_of(outbox).by_reason
    folded = what.strip().casefold()
    found = [reason for reason in reasons if gist(reason.reason).casefold() == folded]
    if not found:
        found = [reason for reason in reasons if folded and folded in reason.reason.casefold()]
    if len({gist(reason.reason) for reason in found}) == 1:
        return found
    if not reasons:
        raise click.UsageError("nothing has failed: there is nothing to dismiss")
    wrong = f"{what!r} is part of several reasons" if found else f"no reason has {what!r} in it"
    listed = "\n".join(f"  {reason.count:,}  {reason.reason}" for reason in found or reasons)
    raise click.UsageError(f"{wrong}, and no file: give a part of one of them alone:\n{listed}")


def _keys_of(path: str) -> Iterator[tuple[bytes, str]]:
    """The key and the location of each record on a list of failed ones."""
    text = Path(path).read_text("utf-8-sig", errors="surrogateescape")
    rows = _objects(text) if text.lstrip().startswith("{") else _table(text)
    for row in rows:
        key = row.get(_KEY)
        if isinstance(key, str) and key:
            location = row.get("locationId")
            yield key_from_text(key), location if isinstance(location, str) else ""


def _objects(text: str) -> Iterator[Mapping[str, object]]:
    for line in text.split("\n"):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise click.UsageError(
                    "the list has a line that is no JSON: write it anew"
                ) from error
            if isinstance(row, dict):
                yield row


def _table(text: str) -> Iterable[Mapping[str, object]]:
    for delimiter in _DELIMITERS:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        if _KEY in (reader.fieldnames or ()):
            return reader
    raise click.UsageError(f'the file has no column "{_KEY}": give a list that failed -o wrote')


async def _dismiss(
    outbox: str,
    *,
    keys: Iterable[tuple[bytes, str]] = (),
    gists: Iterable[str] = (),
) -> int:
    async with await SqliteOutbox.open(outbox) as store:
        return await store.dismiss(keys=keys, gists=gists)
