"""Mails to read: CPython's own where this interpreter has them, else some of their kinds."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Final

from leadconnector_async.sources import SourceOptions

ME: Final = SourceOptions(mine=("me@example.com", "@mine.example"))
PLAIN: Final = b"""\
From: Kim Lee <Kim@example.org>
To: Me <me@example.com>
Date: Wed, 31 Jan 2024 10:30:00 +0100
Message-ID: <one@example.org>
Subject: Hello

How are you?
"""
_OWN: Final = {
    "plain": PLAIN,
    "empty": b"",
    "no headers": b"\njust a text\n",
    "no date": b"From: a@example.org\n\nhi\n",
    "no sender": b"Date: Wed, 31 Jan 2024 10:30:00 +0100\n\nhi\n",
    "no boundary": b"From: a@example.org\nContent-Type: multipart/mixed\n\nhi\n",
    "bad base64": b"From: a@example.org\nContent-Transfer-Encoding: base64\n\n====\n",
    "bad charset": b"From: a@example.org\nContent-Type: text/plain; charset=none\n\n\xff\n",
    "bytes": bytes(range(256)),
}


def samples() -> dict[str, bytes]:
    """Give real mails by name, most of them odd."""
    folder = Path(sysconfig.get_path("stdlib"), "test", "test_email", "data")
    found = {path.stem: path.read_bytes() for path in folder.glob("*.txt")}
    return found or dict(_OWN)
