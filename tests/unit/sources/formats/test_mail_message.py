from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, strategies as st
from mails import ME, PLAIN, samples

from leadconnector_async.errors import SourceError
from leadconnector_async.sources.fields import WrongValueError
from leadconnector_async.sources.formats.mail_headers import LeftOutError, MailPerson, OwnAddresses
from leadconnector_async.sources.formats.mailbox import MailReader
from leadconnector_async.sources.formats.mbox import MailPiece

if TYPE_CHECKING:
    from leadconnector_async.sources import Parsed

MINE = OwnAddresses("inbox", ME.mine)
SAMPLES = list(samples().values())
TOKENS = [
    b"=?utf-8?b?####?=",
    b"charset=utf-7",
    b"charset=idna",
    b"charset=hex",
    b"filename*0*=utf-8''a; filename*1=b",
    b"multipart/alternative; boundary=",
    b"message/rfc822",
    b"base64",
    b"begin 644 x\n",
    b"Date: 31 Feb 99999 25:61:61 +9999\n",
    b"\0",
    b"\n\n",
    b"+2AA-",
    b'";<(@',
]


def _values(headers: str) -> dict[str, object]:
    values, notices = _told(headers)
    assert notices == []
    return values


def _told(headers: str) -> tuple[dict[str, object], list[str]]:
    reader = MailReader("inbox", ME)
    content = f"{headers}\n\nhi\n".encode()
    values, problem = reader.values(MailPiece(1, content, len(content)), head_only=False)
    assert problem is None
    return {name: value for name, value in values.items() if value is not None}, reader.notices


def test_a_received_mail_is_with_its_sender() -> None:
    """Recipients beside the owner become cc, since the API has one."""
    values = _values(
        "From: Kim <kim@a.example>\nTo: Jo <jo@a.example>, me@EXAMPLE.com\nCc: al@a.example\n"
        "Bcc: bo@a.example"
    )
    del values["date"]
    assert values == {
        "type": "Email",
        "direction": "inbound",
        "contact.email": "kim@a.example",
        "contact.name": "Kim",
        "emailFrom": "kim@a.example",
        "emailTo": "me@EXAMPLE.com",
        "emailCc": ["jo@a.example", "al@a.example"],
        "emailBcc": ["bo@a.example"],
        "message": "hi",
    }


def test_a_sent_mail_is_with_its_first_foreign_recipient() -> None:
    """Of To, else of Cc, else of Bcc."""
    values, notices = _told(
        "From: x@mine.example\nTo: me@example.com, Jo <jo@a.example>, al@a.example"
    )
    assert notices == [
        "mails to several people: each is with the first, and names the others in cc or bcc"
    ]
    assert values["direction"] == "outbound"
    assert (values["contact.email"], values["contact.name"]) == ("jo@a.example", "Jo")
    assert values["emailTo"] == "jo@a.example"
    assert values["emailCc"] == ["me@example.com", "al@a.example"]
    assert _values("From: me@example.com\nBcc: bo@a.example")["contact.email"] == "bo@a.example"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ("To: me@example.com", "cannot be told: the mail names no sender"),
        (
            "From: me@example.com\nTo: x@mine.example",
            "cannot be told: all its recipients are yours",
        ),
        ("From: me@example.com", "cannot be told: the mail names no recipient"),
    ],
)
def test_a_mail_without_another_side_is_refused(headers: str, said: str) -> None:
    """It belongs to no contact."""
    wrong = _values(headers)["contact.email"]
    assert isinstance(wrong, WrongValueError)
    assert wrong.wrong == said


@pytest.mark.parametrize(
    ("headers", "contact"),
    [
        ("From: WordPress <wordpress@site.example>\nTo: me@example.com", "kim@a.example"),
        ("From: no-reply@forms.example\nTo: me@example.com", "kim@a.example"),
        ("From: shop@mine.example\nTo: me@example.com", "kim@a.example"),
        ("From: jo@a.example\nTo: me@example.com", "jo@a.example"),
        ("From: shop@mine.example\nTo: jo@a.example", "jo@a.example"),
    ],
)
def test_a_mail_of_a_form_is_with_whom_it_names_to_be_answered(headers: str, contact: str) -> None:
    """All who ever asked were one contact. What a person sends is with that person."""
    values, notices = _told(f"{headers}\nReply-To: me@example.com, Kim <kim@a.example>")
    assert values["contact.email"] == contact
    is_of_form = contact == "kim@a.example"
    assert values.get("contact.name") == ("Kim" if is_of_form else None)
    assert (values["direction"] == "inbound") == (is_of_form or "From: jo" in headers)
    assert [notice[:25] for notice in notices] == ["mails that a program sent"] * is_of_form


def test_a_program_that_names_another_one_stays_with_itself() -> None:
    """Nobody answers either."""
    values = _values("From: no-reply@a.example\nTo: me@example.com\nReply-To: noreply@a.example")
    assert values["contact.email"] == "no-reply@a.example"


def test_a_thread_is_told_by_ids() -> None:
    """The mail's own is the record's id, so that a second copy is the same record."""
    values = _values("From: k@a.b\nMessage-ID: <b@x>\nIn-Reply-To: <a@x>\nReferences: <r@x> <a@x>")
    assert (values["id"], values["altId"], values["inReplyTo"]) == ("b@x", "b@x", ["a@x", "r@x"])


def test_a_deleted_mail_that_is_still_in_the_file_is_left_out() -> None:
    """Thunderbird marks them until it compacts the folder."""
    with pytest.raises(LeftOutError, match="deleted mails"):
        _values("X-Mozilla-Status: 0009\nFrom: k@a.b")
    assert _values("X-Mozilla-Status: 0001\nFrom: k@a.b")["emailFrom"] == "k@a.b"


def test_the_owner_has_to_say_who_they_are() -> None:
    """Nothing else tells sent from received."""
    with pytest.raises(SourceError, match=r"inbox: holds mails: .*--mine me@example.com"):
        OwnAddresses("inbox", ())
    for bad in ("me", "me@", "@"):
        with pytest.raises(SourceError, match=f"--mine {bad} is no address"):
            OwnAddresses("inbox", (bad,))
    with pytest.raises(SourceError, match=r"inbox: holds mails: .*--mine me@example.com"):
        OwnAddresses("inbox", ("+1 303 555 0100",))
    with pytest.raises(SourceError, match=r"--mine mine\.example is no address"):
        OwnAddresses("inbox", ("me@example.com", "mine.example"))


def test_names_beside_an_address_are_those_of_chats() -> None:
    """One command reads both: a Takeout holds mails, chats and calls."""
    mine = OwnAddresses("inbox", ("The Shop", "Shop", "+13035550100", "me@example.com"))
    assert MailPerson("", "me@example.com") in mine
    assert MailPerson("", "shop") not in mine


def test_a_domain_is_all_of_its_addresses() -> None:
    """But not those of the domains under it."""
    assert MailPerson("", "Any@Mine.Example") in MINE
    assert MailPerson("", "any@sub.mine.example") not in MINE
    assert MailPerson("", "me@example.com.evil") not in MINE


def _read(raw: bytes) -> Parsed:
    return MailReader("inbox", ME).parsed(MailPiece(1, raw, len(raw)))


@pytest.mark.parametrize("name", samples())
def test_real_mails_end_as_a_row_or_with_a_reason(name: str) -> None:
    """All of them, however odd."""
    _check(_read(samples()[name]))


def _check(parsed: Parsed) -> None:
    assert isinstance(json.loads(parsed.raw), dict)
    if parsed.row is None:
        assert bool(parsed.problems) != bool(parsed.left_out)
        assert all(problem.wrong and problem.fix for problem in parsed.problems)
    else:
        assert parsed.row.type == "Email"
        assert parsed.row.date is not None
        assert parsed.row.contact is not None
        assert msgspec.json.encode(parsed.row, enc_hook=str)


@given(st.sampled_from([PLAIN, *SAMPLES]), st.data())
def test_a_damaged_mail_never_ends_the_reading(mail: bytes, data: st.DataObject) -> None:
    """Whatever is put anywhere into it."""
    raw = bytearray(mail)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, min(len(raw), 1000)))
        cut = data.draw(st.integers(0, 20))
        raw[at : at + cut] = data.draw(st.sampled_from(TOKENS) | st.binary(max_size=3))
    _check(_read(bytes(raw)))


@pytest.mark.slow
def test_a_mail_that_breaks_the_parser_is_refused() -> None:
    """Nothing real nests so deeply."""
    raw = b"From: k@a.example\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (depth, depth)
        for depth in range(1500)
    )
    parsed = _read(raw)
    assert parsed.problems[0].wrong == "has a structure that cannot be read"
