from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, sms, write_jsonl
from outbox_kit import run_apart

from leadconnector_async.cli.html_report.page import page
from leadconnector_async.cli.html_report.wording import in_plain_words, plain
from leadconnector_async.outbox.open import read_outbox
from leadconnector_async.reports.history_report import (
    ReasonCount,
    history_report_of,
    kind_of_refused,
)
from leadconnector_async.sandbox import SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

BACKUP = """<smses>
<sms address="VERIFY" date="1706713445000" type="1" body="your code"/>
<sms address="+12125550131" date="1706713446000" type="1" body=""/>
</smses>"""
TABLE = (
    "Phone,Direction,Date,Text\n"
    "12,incoming,2024-01-31T10:00:00Z,one\n"
    "+12125550131,outgoing,2024-02-30T10:00:00Z,two\n"
)


@pytest.mark.parametrize(
    ("name", "content", "mapping", "kinds", "undated"),
    [
        ("b.xml", BACKUP, "sms-backup-restore", {("SMS", "inbound"): 1}, 0),
        ("t.csv", TABLE, "generic", {("SMS", "inbound"): 1, ("SMS", "outbound"): 1}, 1),
    ],
)
def test_what_was_refused_has_its_type_direction_and_date(  # noqa: PLR0913, PLR0917 - one for each thing
    tmp_path: Path,
    name: str,
    content: str,
    mapping: str,
    kinds: dict[tuple[str, str], int],
    undated: int,
) -> None:
    """As far as its source said so, by whatever mapping: no inbound SMS is called unknown."""
    source = tmp_path / name
    source.write_text(content)
    with SandboxThread() as sandbox:
        options = ["--mapping", mapping, "--region", "US", *at(sandbox, tmp_path / "o.db")]
        assert leadconnector("import", source, *options).exit_code == 3
    report = run_apart(read_outbox(tmp_path / "o.db", history_report_of))
    failed = {kind: counts.failed for kind, counts in report.kinds.items() if counts.failed}
    assert failed == kinds
    assert report.undated == undated
    text = page(report, title=None, made_ms=0)
    assert ">Unknown<" not in text


def test_what_says_nothing_is_unknown() -> None:
    """A line that is no record, or a word that is no type."""
    form = b'{"format":"jsonl"}'
    for raw in (b"broken", b"[]", b'{"type":"letter","direction":"up","date":"soon"}', b"\xff{"):
        assert kind_of_refused(form, raw) == (None, None, None)
    assert kind_of_refused(None, None) == (None, None, None)
    raw = b'{"type":"sms","direction":"Inbound","date":"1970-01-01T00:00:01Z"}'
    assert kind_of_refused(form, raw) == ("SMS", "inbound", 1000)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("contact.phone is no telephone number: write one", "telephone number cannot be used"),
        ("contact.phone is a short code: …", "came from a short code"),
        ("contactId is missing: give contactId", "names nobody"),
        ("date has no offset from UTC: write the offset", "date is missing"),
        ("message is missing: type SMS needs message", "no text and no attachment"),
        ("attachments item 1 is larger than the 5 MB that the API takes: …", "larger than"),
        ("attachments item 1 could not be uploaded: 413 File is too large", "larger than"),
        ("attachments item 2 is no type of file that the API takes: …", "no files of this type"),
        ("attachments item 2 is a file that is not there: …", "was not there"),
        ("conversationProviderId is missing: type Call needs it", "channel of the message"),
        ("400 Incorrect conversationProviderId/type [X]", "channel of the message"),
        ("400 Contact not found", "does not know the contact"),
        ("400 Conversation not found", "does not know the conversation"),
        ("403 The token does not have access to this location.", "no access"),
        ("422 attachments must contain at least 1 elements", "refused it"),
        ("500 Internal server error (in 5 attempts)", "did not answer as it should"),
        ("mail has a structure that cannot be read: …", "e-mail is damaged"),
        ("frobnication is odd: mend it", "could not be used as it stands"),
    ],
)
def test_reasons_are_told_in_plain_words(reason: str, said: str) -> None:
    """None names a field, an option or a status."""
    sentence = plain(ReasonCount(unresolved=False, reason=reason, count=1))
    assert said in sentence
    assert not any(word in sentence for word in ("--", "Id", "contact.p", "400", "API"))


def test_equal_sentences_are_one_line() -> None:
    """With all their messages; unresolved ones have one reason."""
    found = [
        ReasonCount(unresolved=False, reason="contact.phone is short", count=2),
        ReasonCount(unresolved=False, reason="date is missing", count=3),
        ReasonCount(unresolved=False, reason="contact.phone is long", count=2),
    ]
    (first, n), (_, m) = in_plain_words(found)
    assert ("number" in first, n, m) == (True, 4, 3)
    assert "no clear answer" in plain(ReasonCount(unresolved=True, reason="timeout", count=1))


def test_the_page_keeps_the_technical_words_apart(tmp_path: Path) -> None:
    """For who helps the client; what is left out has its reasons too."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(1), sms(2, message="")])
    with SandboxThread() as sandbox:
        leadconnector("import", history, *at(sandbox, tmp_path / "o.db"))
    report = run_apart(read_outbox(tmp_path / "o.db", history_report_of))
    report.left_out = [ReasonCount(unresolved=False, reason="drafts", count=3)]
    report.dismissed = [ReasonCount(unresolved=False, reason="date is missing: …", count=2)]
    text = page(report, title=None, made_ms=0)
    plainly, _, technical = text.partition("The same in technical words")
    assert "It has no text and no attachment." in plainly
    assert "message is missing" not in plainly
    assert "message is missing: type SMS needs message or attachments" in technical
    assert "Left out: not meant to be imported." in technical
    assert ">drafts<" in technical
    assert "Given up" in technical
