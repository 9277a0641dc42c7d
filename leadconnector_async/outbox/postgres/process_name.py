"""What a process is called in the server's list of connections. It decides nothing."""

from __future__ import annotations

import socket
from functools import cache
from typing import Final
from uuid import uuid4

_NAME: Final = "leadconnector"

_MAX_HOST: Final = 27
"""Characters of the machine's name: the server keeps 63 of a connection's."""


@cache
def process_name(process: int) -> str:
    """The name for this process's connections. A fork is another process."""
    return f"{_NAME} {socket.gethostname()[:_MAX_HOST]}/{process} {uuid4().hex[:12]}"


def told_name(name: str) -> tuple[str, str]:
    """The label and the id in the name of a process's connection."""
    words = name.split(" ")
    is_ours = len(words) == 3 and words[0] == _NAME  # noqa: PLR2004 - as `process_name` writes it
    return (words[1], words[2]) if is_ours else (name or "?", "")
