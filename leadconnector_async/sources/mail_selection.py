"""What became of a mail (spam, deleted, a draft) or what it is (a chat, a bounce).

Labels and folders that say what became of a mail, in the languages of mail programs.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from unicodedata import normalize

from leadconnector_async.errors import SourceError
from leadconnector_async.leave_out import LEAVE_OUT
from leadconnector_async.sources.mail_headers import header_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from leadconnector_async.sources.base import SourceOptions
    from leadconnector_async.sources.mail_headers import Head

_OF_FOLDERS: Final = {"templates": "drafts", "unsent messages": "drafts"}
"""Folders of Thunderbird with mails that were not sent. As labels they can be the user's own."""

_LEFT_OUT_LABELS: Final = frozenset({"spam", "trash", "drafts"})
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
            found |= _LEFT_OUT_LABELS
        elif state not in _LEFT_OUT_LABELS:
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


_LEFT_OUT: Final = {
    "spam": "spam",
    "trash": "mails in the trash",
    "deleted": "deleted mails",
    "drafts": "drafts",
}

_OPTIONAL: Final = ("chats", "bounces")

_EXPUNGED: Final = 0x0008
"""Bit of ``X-Mozilla-Status``: deleted, but still in the file until it is compacted."""

_STATUS_FLAGS: Final = {"D": "deleted", "T": "drafts"}
"""Letters of ``X-Status``, in which IMAP servers and Mutt keep flags in an mbox."""

_AUTOMATIC: Final = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-failed-recipients")
"""Headers that answering machines and mail servers alone write."""


class LeftOutError(Exception):
    """The mail is not to be imported."""

    def __init__(self, why: str, id_: str | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.id = id_


class Selection:
    """Which mails are imported.

    Raises:
        SourceError: a label is asked for that is never left out.
    """

    def __init__(self, options: SourceOptions) -> None:
        wanted = wanted_states(options.labels)
        kept = wanted | ({"deleted"} if "trash" in wanted else set())
        self._left_out = {state: why for state, why in _LEFT_OUT.items() if state not in kept}
        for kind in options.leave_out.intersection(_OPTIONAL):
            self._left_out[kind] = LEAVE_OUT[kind]

    def check(self, states: set[str], id_: str | None = None) -> None:
        """Let a mail of this Message-ID pass.

        Raises:
            LeftOut: it is not to be imported.
        """
        for state, why in self._left_out.items():
            if state in states:
                raise LeftOutError(why, id_)


def states_of(head: Head) -> set[str]:
    """What a mail's headers say became of it."""
    states = set(_labelled(head.first("x-gmail-labels")))
    states |= {state for flag, state in _STATUS_FLAGS.items() if flag in head.first("x-status")}
    if _is_expunged(head):
        states.add("deleted")
    if _is_automatic(head):
        states.add("bounces")
    return states


@lru_cache(maxsize=1024)
def _labelled(header: str) -> frozenset[str]:
    # The same few lists of labels come again and again.
    return frozenset(states_of_labels(header_text(header)))


def notices_of(states: set[str], head: Head) -> Iterator[str]:
    """What is to be known of a mail that is imported."""
    if "drafts" in states:
        yield "drafts, which were perhaps never sent: they are imported as if they had been"
    for kind in _OPTIONAL:
        if kind in states:
            yield f"{LEAVE_OUT[kind]}: they are imported; --leave-out {kind} leaves them out"
    # A filter's opinion is no state: whoever agreed with it has moved the mail to the spam.
    if head.first("x-spam-flag").upper() == "YES" and "spam" not in states:
        yield "mails that a filter held for spam, but that are not among the spam: imported"


def _is_expunged(head: Head) -> bool:
    try:
        return bool(int(head.first("x-mozilla-status"), 16) & _EXPUNGED)
    except ValueError:
        return False


def _is_automatic(head: Head) -> bool:
    """Tell bounces (RFC 3464) and automatic answers (RFC 3834) from what people and shops send."""
    sender = next(iter(head.people("from")), None)
    return (
        (sender is not None and sender.folded.startswith("mailer-daemon@"))
        or head.first("return-path") == "<>"
        or head.first("content-type").lower().startswith("multipart/report")
        or head.first("auto-submitted").lower().startswith("auto-replied")
        or head.first("precedence").lower() == "auto_reply"
        or any(head.first(name).lower() not in {"", "no"} for name in _AUTOMATIC)
    )
