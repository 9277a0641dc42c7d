"""The options of ``import`` and ``worker`` about sending."""

from __future__ import annotations

from typing import Final

import click

from leadconnector_async.cli.option_types import address, duration, quota_or_off, share
from leadconnector_async.cli.options import option, options_of

share_option: Final = option(
    "--share PERCENT",
    type=share,
    default="100%",
    help="How much of each location's quota to use, such as 50%, of the 10 seconds and of the day: "
    "the rest is left to people at work.",
)

for_option: Final = option(
    "--for TIME",
    "run_for",
    type=duration,
    help="Begin nothing more after such a time, as 2h or 1h30m, and end with exit status 4 if "
    "something is left.",
)

piece_options: Final = options_of(
    """
    --limit N
        Send the first N messages alone, by their dates and over all runs. All are staged; the same
        command without this and the next four options sends the rest.
    --limit-conversations [N]
        Send the first N conversations alone, each whole. Without N: those of the messages that
        --limit takes.
    --since DATE
        Send messages from then on alone: a day, such as 2024-01-31, or a moment. Without an offset
        it is one of --timezone, else of UTC.
    --until DATE
        Send messages up to the end of that day, or before that moment, alone.
    --only WHAT
        Send messages of this type, contact (or conversation) id, telephone number or address alone.
        Repeat it for more; in the environment separate them by spaces.
    """,
    for_option,
    """
    --mark-read
        Set each conversation's unread count to 0 once its last message is settled, unless it was
        unread before the first one was sent. Takes two requests each.
    """,
    limit={"type": click.IntRange(1)},
    limit_conversations={"type": click.IntRange(0), "is_flag": False, "flag_value": "0"},
    only={"multiple": True},
)

sending_options: Final = options_of(
    """
    --concurrency
        Requests in flight at most. By default 64, and some more for each further location.
    --connect-timeout
        Seconds to open a connection.
    --timeout
        Seconds without an answer after which it is unknown whether a message was stored.
    --attempts
        How often a message is sent before it is given up. An answer 429 is not counted.
    --on-unknown
        When it is unknown whether a message was stored: look for it in its conversation, and send
        it again only if it is not there (needs the permission to read messages; where nothing tells
        them apart, it becomes unresolved); send it again at once (it may be stored twice); or hold
        it as unresolved (it may be missing).
    --look-after SECONDS
        When to look for the last time: what is stored can be read some seconds later. A first look
        is made at a quarter of it. Too short, and messages may be stored twice.
    --no-stamp
        Do not send the record's key as altId where it has none. Looking then has to compare type,
        direction, date and text.
    --patience SECONDS
        How long the API may be out of reach before the run stops, and how long a location may
        answer nothing but 429 before it stops alone.
    --contacts
        For records that name their contact by number or address: find one that exists, and let the
        record fail if there is none; or create what is not found. No contact that exists is
        changed. upsert does the same as create: the API's own upsert can delete the first address
        of a contact.
    """,
    share_option,
    """
    --wait, wait_for_day
        When the day's quota is spent, wait instead of exit 4.
    --quota N/SECONDS
        The quota of each location, as REQUESTS/SECONDS, or "off". By default 100/10. What the API
        announces wins.
    --daily
        The quota of a day. By default 200000. What the API announces wins.
    --metrics HOST:PORT
        Serve metrics for Prometheus there, such as 127.0.0.1:9464, while this runs. Whoever reaches
        the port reads them.
    --metrics-locations
        Give the metrics of each location, by its id, instead of those of all together.
    """,
    concurrency={"type": click.IntRange(1, 1024)},
    connect_timeout={"type": click.FloatRange(0, min_open=True), "default": 10.0},
    timeout={"type": click.FloatRange(0, min_open=True), "default": 60.0},
    attempts={"type": click.IntRange(1), "default": 4},
    on_unknown={"choices": ("look", "send", "hold")},
    look_after={"type": click.FloatRange(0), "default": 8.0},
    patience={"type": click.FloatRange(0), "default": 1800.0},
    contacts={"choices": ("find", "create", "upsert"), "default": "create"},
    quota={"type": quota_or_off},
    daily={"type": click.IntRange(1)},
    metrics={"type": address},
)
