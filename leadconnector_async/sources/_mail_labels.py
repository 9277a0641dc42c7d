"""Labels and folders that say what became of a mail, in the languages of mail programs."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from unicodedata import normalize

from leadconnector_async._errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable

_OF_FOLDERS: Final = {"templates": "drafts", "unsent messages": "drafts"}
"""Folders of Thunderbird with mails that were not sent. As labels they can be the user's own."""
_LEFT_OUT: Final = frozenset({"spam", "trash", "drafts"})
"""States that are left out if nobody asks for them."""
_LABEL: Final = re.compile(r'\s*(?:"([^"]*)"|([^,]+))')
_ENDINGS: Final = re.compile(r"(?:\.(?:gz|mbox|mbx|sbd|maildir))+\Z", re.IGNORECASE)
_UTF7: Final = re.compile(r"&([A-Za-z0-9+,]*)-")


def _folded(name: str) -> str:
    return " ".join(normalize("NFC", name.casefold()).split())


_STATES: Final = {
    _folded(word): state
    for state, words in tomllib.loads(
        (files("leadconnector_async.sources") / "mail_states.toml").read_text("utf-8")
    ).items()
    for word in words
}


def states_of_labels(value: str) -> set[str]:
    """What the labels of a mail say of it: spam, trash, drafts, chats or sent.

    ``value`` is the decoded header ``X-Gmail-Labels``: names between commas, some in quotes.
    """
    names = (quoted or plain for quoted, plain in _LABEL.findall(value))
    return {state for name in names if (state := _STATES.get(_folded(name.lstrip("\\"))))}


def states_of_folders(parts: Iterable[str]) -> set[str]:
    """What the folders and the file that a mail lies in say of it.

    A folder of Maildir++ has the names of those above it in its own, between dots.
    """
    found: set[str] = set()
    for part in parts:
        nested = part.startswith((".", "INBOX."))
        for name in part.split(".") if nested else [_ENDINGS.sub("", part)]:
            folded = _folded(_from_utf7(name))
            found.add(_STATES.get(folded) or _OF_FOLDERS.get(folded, ""))
    return found - {""}


def wanted_states(labels: Iterable[str]) -> set[str]:
    """Which of the states that are left out are to be read.

    Raises:
        SourceError: a label is none of them.
    """
    found: set[str] = set()
    for label in labels:
        state = _STATES.get(_folded(label))
        if label == "all":
            found |= _LEFT_OUT
        elif state not in _LEFT_OUT:
            raise SourceError(f"--labels {label}: give spam, trash, drafts or all")
        else:
            found.add(state)
    return found


def _from_utf7(name: str) -> str:
    """Decode a folder's name as IMAP servers write it (RFC 3501, 5.1.3)."""

    def decoded(match: re.Match[str]) -> str:
        shifted = f"+{match[1].replace(',', '/')}-" if match[1] else "&"
        return shifted.encode().decode("utf-7", "replace")

    return _UTF7.sub(decoded, name)
