from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from mails import ME, PLAIN

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.formats.mail_headers import states_of_folders, states_of_labels
from leadconnector_async.sources.formats.mailbox import MailReader
from leadconnector_async.sources.formats.mbox import MailPiece

if TYPE_CHECKING:
    from leadconnector_async.sources import Parsed


def _parsed(headers: str, *labels: str, leave_out: frozenset[str] = frozenset()) -> Parsed:
    options = msgspec.structs.replace(ME, labels=frozenset(labels), leave_out=leave_out)
    content = headers.encode() + b"\n" + PLAIN
    return MailReader("inbox", options).parsed(MailPiece(1, content, len(content)))


@pytest.mark.parametrize(
    ("labels", "left_out"),
    [
        ("Important,[Imap]/Drafts", "drafts"),
        ("[Google Mail]/Drafts", "drafts"),
        ("\\Trash,Inbox", "mails in the trash"),
        ("Inbox,Opened", None),
        ("Spam,Unread", "spam"),
        ("Opened,Trash", "mails in the trash"),
        ("Drafts", "drafts"),
        ("=?UTF-8?Q?Corbeille,Ouvert?=", "mails in the trash"),
        ("=?UTF-8?Q?Bo=C3=AEte_de_r=C3=A9ception,Ouvert?=", None),
        ("=?UTF-8?B?RW50d8O8?=\n =?UTF-8?B?cmZlLEdlw7ZmZm5ldA==?=", "drafts"),
        ("Important,\n\tPapelera", "mails in the trash"),
        ('"Smith, Trash & Sons",Inbox', None),
        ('"Smith, Sons","Lixeira"', "mails in the trash"),
        ("Work/Trash,Anti Spam", None),
        ("=?UTF-8?B?44K044Of566x?=", "mails in the trash"),
    ],
)
def test_labels_say_what_became_of_a_mail(labels: str, left_out: str | None) -> None:
    """Encoded, folded, quoted, in any language; a label of one's own is another one."""
    parsed = _parsed(f"X-Gmail-Labels: {labels}")
    assert (parsed.left_out, parsed.problems) == (left_out, ())
    assert (parsed.row is None) == (left_out is not None)


@pytest.mark.parametrize(
    ("headers", "left_out"),
    [
        ("X-Mozilla-Status: 0009", "deleted mails"),
        ("X-Mozilla-Status: 0001", None),
        ("X-Status: AD", "deleted mails"),
        ("X-Status: T", "drafts"),
        ("X-Unsent: 1", "drafts"),
        ("X-IMAP: 1711724801 0000000000", "what a mail server keeps of its folder, as a mail"),
        ("X-Unsent: 0", None),
        ("Status: RO\nX-Status: AF", None),
    ],
)
def test_flags_in_a_head_say_what_became_of_a_mail(headers: str, left_out: str | None) -> None:
    """As Thunderbird, IMAP servers, Mutt and Outlook keep them."""
    assert _parsed(headers).left_out == left_out


@pytest.mark.parametrize(
    ("path", "state"),
    [
        ("Takeout/Mail/Spam.mbox", "spam"),
        ("Mail/Local Folders/Trash.sbd/2019", "trash"),
        ("Entwürfe.mbox.gz", "drafts"),
        (".Deleted Items/cur/1", "trash"),
        (".INBOX.Junk/cur/1", "spam"),
        (".Entw&APw-rfe/new/1", "drafts"),
        (".[Gmail].Papierkorb/cur/1", "trash"),
        ("Unsent Messages", "drafts"),
        ("Chats.mbox", "chats"),
        ("Spam filter offers.mbox", None),
        (".A&-B/cur/1", None),
        (".&broken-/cur/1", None),
        ("house.plans.drafts.mbox", None),
    ],
)
def test_folders_say_what_became_of_their_mails(path: str, state: str | None) -> None:
    """Of Takeout, Thunderbird and Maildir++, as they are written on disk."""
    assert states_of_folders(path.split("/")) == ({state} if state else set())


def test_what_is_left_out_is_read_if_its_label_is_named() -> None:
    """Or all of it; a draft is never taken for a sent mail without a word."""
    heads = {"spam": "Spam", "trash": "Trash", "drafts": "Drafts"}
    for wanted in ("all", *heads):
        for state, label in heads.items():
            parsed = _parsed(f"X-Gmail-Labels: {label}", wanted)
            assert (parsed.row is not None) == (wanted in {"all", state})
    assert _parsed("X-Mozilla-Status: 0008", "trash").row is not None
    assert _parsed("X-Gmail-Labels: Drafts", "drafts").notices == (
        "drafts, which were perhaps never sent: they are imported as if they had been",
    )
    assert _parsed("X-Gmail-Labels: Corbeille", "corbeille").row is not None


def test_a_sent_mail_of_nobody_known_is_told() -> None:
    """Else an address of the owner's own would become a contact in silence."""
    (told,) = _parsed("X-Gmail-Labels: =?UTF-8?Q?Envoy=C3=A9,Ouvert?=").notices
    assert told.startswith("mails among the sent ones whose sender is none of --mine")
    assert _parsed("X-Gmail-Labels: Inbox").notices == ()


def test_a_label_that_is_never_left_out_is_refused() -> None:
    """Who misspells one would get less than they asked for."""
    for label in ("spma", "sent", "chats"):
        with pytest.raises(SourceError, match=f"--labels {label}: give spam, trash, drafts or all"):
            _parsed("X: y", label)


@pytest.mark.parametrize(
    "headers",
    [
        "Return-Path: <>",
        "Auto-Submitted: auto-replied (vacation)",
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
        "X-Autoreply: yes",
        "Precedence: auto_reply",
        "X-Failed-Recipients: al@a.example",
    ],
)
def test_bounces_and_automatic_answers_are_counted_or_left_out(headers: str) -> None:
    """By what servers and answering machines write."""
    told = "mails that could not be delivered, and automatic answers"
    parsed = _parsed(headers)
    assert parsed.left_out is None
    assert parsed.notices[0] == f"{told}: they are imported; --leave-out bounces leaves them out"
    assert _parsed(headers, leave_out=frozenset({"bounces"})).left_out == told


@pytest.mark.parametrize(
    "headers",
    ["Auto-Submitted: auto-generated", "Auto-Submitted: no", "Return-Path: <k@a.example>"],
)
def test_what_a_shop_sends_is_no_answer(headers: str) -> None:
    """Bookings and bills are written by programs, and belong to the history."""
    parsed = _parsed(headers, leave_out=frozenset({"bounces"}))
    assert (parsed.left_out, parsed.notices) == (None, ())


def test_a_mailer_daemon_is_nobody() -> None:
    """Whatever else its mail says."""
    content = PLAIN.replace(b"Kim@example.org", b"Mailer-Daemon@mx.example.org")
    parsed = MailReader("inbox", ME).parsed(MailPiece(1, content, len(content)))
    assert "could not be delivered" in parsed.notices[0]


def test_chats_are_counted_or_left_out() -> None:
    """Gmail keeps them among mails."""
    headers = "X-Gmail-Labels: Chat"
    assert _parsed(headers).row is not None
    assert "--leave-out chats" in _parsed(headers).notices[0]
    out = _parsed(headers, leave_out=frozenset({"chats"}))
    assert out.left_out == "chats kept among mails"


def test_the_opinion_of_a_filter_is_no_state() -> None:
    """Its owner left the mail where it was: it is imported, with a notice."""
    parsed = _parsed("X-Spam-Flag: YES")
    assert parsed.row is not None
    assert "a filter held for spam" in parsed.notices[0]


def test_a_language_takes_no_others_words() -> None:
    """No word stands for two states."""
    for word, state in [("Lixo", "trash"), ("Lixo eletrônico", "spam"), ("Bozze", "drafts")]:
        assert states_of_labels(word.upper()) == {state}
