"""What became of a mail (spam, deleted, a draft) or what it is (a chat, a bounce)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from leadconnector_async._leave_out import LEAVE_OUT
from leadconnector_async.sources._mail_head import header_text
from leadconnector_async.sources._mail_labels import states_of_labels, wanted_states

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.sources._mail_head import Head
    from leadconnector_async.sources.row import SourceOptions

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


class LeftOut(Exception):  # noqa: N818 - an ending, not an error
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
                raise LeftOut(why, id_)


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
