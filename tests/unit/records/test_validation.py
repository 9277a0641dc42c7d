from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, strategies as st

from leadconnector_async.models import (
    CALL_STATUSES,
    DIRECTIONS,
    MESSAGE_TYPES,
    Call,
    InboundMessage,
    MessageFields,
    MessageType,
)
from leadconnector_async.records.draft import encode
from leadconnector_async.records.validation import (
    RULES,
    _problems,
    has_nul,
    is_plainly_good,
    validate,
)

WHEN = datetime(2024, 5, 1, 9, 30, tzinfo=UTC)
NEED_PROVIDER = {"Custom", "Call"}
MAIL = {"Email", "Custom"}
CALLS = {"Call", "IVR_Call", "Campaign_Call", "Campaign_VoiceMail"}
NEED_NO_CONTENT = CALLS | {"FORM_SUBMISSION"}
MAIL_FIELDS: dict[str, tuple[str, Any]] = {
    "subject": ("subject", "hi"),
    "html": ("html", "<p>hi</p>"),
    "email_from": ("emailFrom", "a@x.com"),
    "email_to": ("emailTo", "a@x.com"),
    "email_cc": ("emailCc", ["a@x.com"]),
    "email_bcc": ("emailBcc", ["a@x.com"]),
    "email_message_id": ("emailMessageId", "e1"),
}


def good(type_: MessageType = "SMS", **fields: Any) -> InboundMessage:  # noqa: ANN401 - any field
    """A message that breaks no rule, but for what ``fields`` change."""
    wanted: dict[str, Any] = {
        "contact_id": "c1",
        "direction": "inbound",
        "date": WHEN,
        "message": "hi",
        "conversation_provider_id": "p1" if type_ in NEED_PROVIDER else None,
    }
    return InboundMessage(type=type_, **(wanted | fields))


def fields_of(message: MessageFields) -> list[str]:
    """The fields at fault."""
    return [problem.field for problem in validate(message)]


def test_there_is_a_rule_for_each_type() -> None:
    """The table has one row per type, and no other."""
    assert tuple(RULES) == MESSAGE_TYPES


@pytest.mark.parametrize("type_", MESSAGE_TYPES)
def test_a_plain_message_of_each_type_is_good(type_: MessageType) -> None:
    """With a contact, a direction, a date and a text, by the fast way and by the slow one."""
    message = good(type_)
    assert validate(message) == ()
    assert list(_problems(message, RULES[type_])) == []
    assert validate(msgspec.structs.replace(message, alt_id="a1")) == ()


@pytest.mark.parametrize("type_", MESSAGE_TYPES)
def test_only_custom_and_call_need_a_provider(type_: MessageType) -> None:
    """Without one the API answers 400, or drops the message."""
    found = validate(good(type_, conversation_provider_id=None))
    if type_ in NEED_PROVIDER:
        assert [problem.field for problem in found] == ["conversationProviderId"]
        assert type_ in found[0].fix
    else:
        assert found == ()
        assert validate(good(type_, conversation_provider_id="p1")) == ()


@pytest.mark.parametrize("type_", MESSAGE_TYPES)
@pytest.mark.parametrize("field", MAIL_FIELDS)
def test_only_mails_carry_the_fields_of_a_mail(type_: MessageType, field: str) -> None:
    """The API would drop a subject, html or copies of other types without a word."""
    name, value = MAIL_FIELDS[field]
    found = validate(good(type_, **{field: value}))
    if type_ in MAIL:
        assert found == ()
    else:
        assert [problem.field for problem in found] == [name]
        assert found[0].fix == "only Email and Custom carry it; the API would drop it"


@pytest.mark.parametrize("type_", MESSAGE_TYPES)
def test_only_calls_carry_a_call(type_: MessageType) -> None:
    """Who called whom belongs to the four types of calls."""
    found = validate(good(type_, call=Call(to="+15550100", from_="+15550101", status="busy")))
    assert [problem.field for problem in found] == ([] if type_ in CALLS else ["call"])


@pytest.mark.parametrize("type_", MESSAGE_TYPES)
def test_most_types_need_content(type_: MessageType) -> None:
    """A text, an attachment, or for mails an html body; calls and forms go without."""
    wanted = [] if type_ in NEED_NO_CONTENT else ["message"]
    assert fields_of(good(type_, message=None)) == wanted
    assert fields_of(good(type_, message="")) == wanted
    assert fields_of(good(type_, message=None, attachments=["https://x.com/a.png"])) == []
    if type_ in MAIL:
        assert fields_of(good(type_, message=None, html="<p>hi</p>")) == []
        assert "html" in validate(good(type_, message=None))[0].fix


@pytest.mark.parametrize("contact", [None, ""])
@pytest.mark.parametrize("conversation", [None, ""])
def test_one_of_contact_and_conversation_is_needed(
    contact: str | None, conversation: str | None
) -> None:
    """The specification asks for both; the service wants either."""
    first = validate(good(contact_id=contact, conversation_id=conversation))[0]
    assert (first.field, first.wrong) == ("contactId", "is missing")
    assert validate(good(contact_id=None, conversation_id="v1")) == ()
    assert validate(good(contact_id="c1", conversation_id="v1")) == ()


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("contact_id", "contactId"),
        ("conversation_id", "conversationId"),
        ("conversation_provider_id", "conversationProviderId"),
        ("email_message_id", "emailMessageId"),
        ("alt_id", "altId"),
    ],
)
def test_an_id_is_one_line_of_text(field: str, name: str) -> None:
    """Empty and blank ids and such with control characters never mean what they say."""
    for blank in ("", " ", "\t"):
        assert name in fields_of(_with(field, blank))
    for control in ("a\nb", "a\0b", "a\x1b[2J", "\u202e"):
        found = [problem for problem in validate(_with(field, control)) if problem.field == name]
        assert [problem.wrong for problem in found] == ["has control characters"]
    assert validate(_with(field, "Ünï-код_漢字 1")) == ()


def _with(field: str, value: str) -> InboundMessage:
    ids = {"contact_id": "c1", "conversation_id": "v1"} | {field: value}
    return good("Email", **ids)


def test_a_direction_has_to_be_said() -> None:
    """The API assumes outbound, even for inbound messages."""
    missing, odd = validate(good(direction=None)), validate(good(direction="sideways"))
    assert (missing[0].field, missing[0].wrong) == ("direction", "is missing")
    assert (odd[0].field, odd[0].wrong) == ("direction", "is not a direction")
    for direction in DIRECTIONS:
        assert validate(good(direction=direction)) == ()


def test_a_date_has_an_offset_or_is_left_out() -> None:
    """A local time means another moment on each machine."""
    found = validate(good(date=WHEN.replace(tzinfo=None)))
    assert [(problem.field, problem.wrong) for problem in found] == [("date", "has no offset")]
    assert validate(good(date=None)) == ()
    assert validate(good(date=WHEN.astimezone(timezone(timedelta(hours=2))))) == ()


@pytest.mark.parametrize("field", ["message", "subject", "html"])
def test_a_text_has_no_nul(field: str) -> None:
    """A NUL is the mark of a damaged file."""
    found = validate(good("Email", **{field: "a\0b"}))
    assert [(problem.field, problem.wrong) for problem in found] == [(field, "has a NUL character")]


@pytest.mark.parametrize(
    "url", ["a.png", "ftp://x.com/a", "", "https://x.com/a b", "https://x.com/a\n", "file:///a"]
)
def test_an_attachment_is_a_public_url(url: str) -> None:
    """However many are wrong, it is said once."""
    found = validate(good(attachments=["https://x.com/ok.png", url, url]))
    assert [problem.field for problem in found] == ["attachments"]


def test_an_attachment_may_be_any_url() -> None:
    """Both schemes, and letters of any language."""
    assert validate(good(attachments=["https://x.com/a", "http://x.com/ü.png"])) == ()


def test_a_call_has_one_of_eight_statuses() -> None:
    """The eight of the contract, or none."""
    for status in (*CALL_STATUSES, None):
        assert validate(good("Call", call=Call(status=status))) == ()
    odd: Any = "asleep"
    found = validate(good("Call", call=Call(status=odd)))
    assert [problem.field for problem in found] == ["call.status"]
    assert "no-answer" in found[0].fix


def test_what_comes_later_is_not_missing() -> None:
    """A contact that is named, and files that are uploaded, stand for an id and for content."""
    bare = InboundMessage(type="SMS", direction="inbound")
    assert [problem.field for problem in validate(bare)] == ["contactId", "message"]
    assert [problem.field for problem in validate(bare, named=True)] == ["message"]
    assert [problem.field for problem in validate(bare, files=True)] == ["contactId"]
    assert validate(bare, named=True, files=True) == ()


def test_an_unknown_type_is_told_all_types() -> None:
    """Types are case-sensitive, and the message lists them."""
    odd: Any = "sms"
    found = validate(InboundMessage(type=odd))
    assert [problem.field for problem in found] == ["type"]
    assert all(name in found[0].fix for name in MESSAGE_TYPES)


SHAPES: list[tuple[str, Any]] = [
    ("contact_id", "c\n1"),
    ("conversation_id", ""),
    ("conversation_provider_id", ""),
    ("direction", None),
    ("date", WHEN.replace(tzinfo=None)),
    ("message", "a\0b"),
    ("subject", "s"),
    ("html", "<p>"),
    ("email_from", "a@x.com"),
    ("email_to", "a@x.com"),
    ("email_cc", ["a@x.com"]),
    ("email_bcc", ["a@x.com"]),
    ("email_message_id", "e1"),
    ("alt_id", ""),
    ("attachments", ["x"]),
    ("call", Call()),
]


@pytest.mark.parametrize(("field", "value"), SHAPES)
def test_the_short_cut_passes_none_of_the_faults(field: str, value: Any) -> None:  # noqa: ANN401 - any field
    """One fault in a message that is plain but for it."""
    assert validate(good(**{field: value}))


def test_every_problem_is_found_at_once() -> None:
    """One reading mends a record: it is not refused once for each of its faults."""
    bad = InboundMessage(
        type="Custom", date=WHEN.replace(tzinfo=None), attachments=["x"], call=Call()
    )
    assert fields_of(bad) == [
        "contactId",
        "conversationProviderId",
        "direction",
        "date",
        "attachments",
        "call",
    ]


IDS = st.none() | st.sampled_from(["c1", "", " ", "a\nb"]) | st.text(max_size=4)
TEXTS = st.none() | st.sampled_from(["hi", "", "a\0b"]) | st.text(max_size=4)
LISTS = st.none() | st.lists(st.sampled_from(["https://x.com/a", "x", ""]), max_size=2)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "contact_id": IDS,
    "conversation_id": IDS,
    "conversation_provider_id": IDS,
    "direction": st.sampled_from([*DIRECTIONS, None, "sideways"]),
    "date": st.none() | st.datetimes() | st.datetimes(timezones=st.just(UTC)),
    "message": TEXTS,
    "subject": TEXTS,
    "html": TEXTS,
    "email_from": TEXTS,
    "email_to": TEXTS,
    "email_cc": LISTS,
    "email_bcc": LISTS,
    "email_message_id": IDS,
    "alt_id": IDS,
    "attachments": LISTS,
    "call": st.none() | st.builds(Call, status=st.sampled_from([*CALL_STATUSES, None, "asleep"])),
}
TYPES = st.sampled_from(MESSAGE_TYPES)
MESSAGES = st.builds(MessageFields, type=TYPES, **VALUES)
PLAIN = st.builds(
    MessageFields,
    type=TYPES,
    contact_id=st.text(min_size=1, max_size=8),
    direction=st.sampled_from(DIRECTIONS),
    date=st.just(WHEN),
    message=st.text(min_size=1, max_size=8),
)


@st.composite
def nearly_plain(draw: st.DrawFn) -> MessageFields:
    """A plain message with one field changed."""
    field = draw(st.sampled_from(sorted(VALUES)))
    fields: dict[str, Any] = {"contact_id": "c1", "direction": "inbound", "date": WHEN}
    fields |= {"message": "hi", field: draw(VALUES[field])}
    return MessageFields(type=draw(TYPES), **fields)


@pytest.mark.slow
@given(PLAIN | nearly_plain() | MESSAGES)
def test_the_short_cut_never_disagrees(message: MessageFields) -> None:
    """What it passes has no problems, and whatever it does not pass is judged by the rules."""
    problems = tuple(_problems(message, RULES[message.type]))
    assert validate(message) == problems
    if is_plainly_good(message) and not has_nul(encode(message)):
        assert problems == ()


@given(MESSAGES)
def test_a_problem_never_repeats_a_text(message: MessageFields) -> None:
    """Problems are logged and reported: they name fields, and quote no content."""
    canary = "Blue-Heron-77"
    spoilt = msgspec.structs.replace(
        message, message=f"{canary}\0", subject=canary, html=canary, attachments=[canary]
    )
    assert canary not in " ".join(map(str, validate(spoilt)))


def test_the_types_of_the_contract_are_the_types_of_the_library() -> None:
    """The literal and the tuple made of it agree."""
    assert get_args(MessageType) == MESSAGE_TYPES
