"""``leadconnector show``: the life of single records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from leadconnector_async.cli.format import counted, moment, say
from leadconnector_async.cli.options import options_of
from leadconnector_async.cli.progress_display import run_waiting
from leadconnector_async.cli.report_lines import print_json
from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.models import Refusal
from leadconnector_async.outbox.open import read_outbox, shown_place
from leadconnector_async.records.keys import key_text
from leadconnector_async.reports.outbox_status import STATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.outbox.outbox_reader import OutboxReader
    from leadconnector_async.outbox.reader import RecordLife

MAX_SHOWN: Final = 50
"""Records that are told to a person; ``--json`` tells all."""


@click.command("show")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@options_of("outbox.outbox", "output.json")
def command(ids: tuple[str, ...], outbox: str, *, as_json: bool) -> None:
    """Tell where records were read, what happened on their way, and how they ended.

    ID is a record's id or outboxKey, its place in a source (history.csv:12, or 12), the id of a
    message or a conversation, or a contact's id, number or address: then all of its records are
    shown. It only reads, and shows no text of a message.
    """
    work = read_outbox(outbox, lambda reader: _read(reader, ids, None if as_json else MAX_SHOWN))
    lives, more, unknown = run_waiting("Looking", work)
    if as_json:
        print_json({"outbox": shown_place(outbox), "records": [_fields(life) for life in lives]})
    else:
        for life in lives:
            say(_lines(life))
            say("")
        if more:
            say(f"{counted(more, 'more record')}: --json shows all.")
    if unknown:
        wrong = f"{shown_place(outbox)} has no record {', '.join(unknown)}"
        fix = "give an id, FILE:LINE, the id of a message, or a contact's id, number or address"
        raise OutboxUnusableError(f"{wrong}: {fix}")


async def _read(
    reader: OutboxReader, ids: tuple[str, ...], limit: int | None
) -> tuple[list[RecordLife], int, list[str]]:
    """What is found, how many more there are than are shown, and what is not found."""
    of = {one: await reader.find(one) for one in ids}
    found = list(dict.fromkeys(seq for seqs in of.values() for seq in seqs))
    lives = [life async for life in reader.lives(found[:limit])]
    return lives, len(found) - len(lives), [one for one, seqs in of.items() if not seqs]


def _lines(life: RecordLife) -> Iterator[str]:
    kind = f"{life.direction} {life.type}" if life.direction else life.type
    of = "" if life.date is None else f" of {moment(life.date)}"
    yield f"{key_text(life.key)}: {kind or 'record'}{of}, location {life.location or '(none)'}"
    for number, place in enumerate(life.places):
        yield f"  {'equals' if number else 'read'}: {place.source}:{place.line}"
    for event in life.trail:
        trace = f" (trace id {event.trace})" if event.trace else ""
        yield f"  {moment(event.at)}: {event.what}{trace}"
    yield f"  {_end(life)}"


def _end(life: RecordLife) -> str:
    if life.at is None:
        return f"not settled yet: waits, or is being sent ({counted(life.attempts, 'attempt')})"
    words = f"{moment(life.at)}: {STATES[life.state]}"
    if life.reason:
        words += f": {life.reason}"
    named = (
        ("message", life.message_id),
        ("conversation", life.conversation_id),
        ("e-mail", life.email_message_id),
        ("trace id", _trace(life)),
        ("by", life.worker),
    )
    words += "".join(f", {name} {value}" for name, value in named if value)
    return f"{words}, {counted(life.attempts, 'attempt')}" if life.attempts else words


def _trace(life: RecordLife) -> str | None:
    refusal = life.detail and msgspec.json.decode(life.detail, type=Refusal)
    return refusal.trace_id if refusal else None


def _fields(life: RecordLife) -> dict[str, Any]:
    fields = life._asdict() | {
        "key": key_text(life.key),
        "state": STATES[life.state],
        "places": [f"{place.source}:{place.line}" for place in life.places],
        "trail": [event._asdict() for event in life.trail],
        "trace": _trace(life),
    }
    del fields["detail"]
    return fields
