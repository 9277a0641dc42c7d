from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given, strategies as st
from msgspec.structs import replace

from leadconnector_async.models import (
    MESSAGE_TYPES,
    Call,
    Contact,
    InboundMessage,
    MessageFields,
    MessageType,
    Problem,
    Record,
)
from leadconnector_async.records.builder import RecordBuilder
from leadconnector_async.records.deferred import Deferred, LocalFile, content_digest
from leadconnector_async.records.draft import draft, encode, normalised, unsent_draft, verified
from leadconnector_async.records.keys import MAX_ID, content_key, key_from_text, key_text, stamped
from leadconnector_async.records.validation import verified_contact

WHEN = datetime(2024, 5, 1, 9, 30, tzinfo=UTC)
WHEN_MS = 1_714_555_800_000
NOW_MS = 1_800_000_000_000
SMS = InboundMessage(type="SMS", contact_id="c1", direction="inbound", date=WHEN, message="hi")

# The example of the API's own documentation, with one of its two directions.
DOCUMENTED: dict[str, Any] = {
    "type": "SMS",
    "attachments": ["string"],
    "message": "string",
    "conversationId": "ve9EPM428h8vShlRW1KT",
    "contactId": "ve9EPM428h8vShlRW1KT",
    "conversationProviderId": "61d6d1f9cdac7612faf80753",
    "html": "string",
    "subject": "string",
    "emailFrom": "sender@company.com",
    "emailTo": "string",
    "emailCc": ["john1@doe.com", "john2@doe.com"],
    "emailBcc": ["john1@doe.com", "john2@doe.com"],
    "emailMessageId": "string",
    "altId": "61d6d1f9cdac7612faf80753",
    "direction": "outbound",
    "date": "2019-08-24T14:15:22Z",
    "call": {"to": "+15037081210", "from": "+15037081210", "status": "completed"},
}


def key_of(message: MessageFields, location: str = "l1", id_: str | None = None) -> bytes:
    """The key under which a message is staged."""
    return draft(message, location=location, id=id_, now_ms=NOW_MS).key


@pytest.mark.parametrize("type_", MESSAGE_TYPES)
def test_every_field_is_encoded_as_documented(type_: MessageType) -> None:
    """A record of each type with every field: letter by letter what the API's example shows."""
    wire = DOCUMENTED | {"type": type_}
    message = InboundMessage(
        type=type_,
        attachments=["string"],
        message="string",
        conversation_id="ve9EPM428h8vShlRW1KT",
        contact_id="ve9EPM428h8vShlRW1KT",
        conversation_provider_id="61d6d1f9cdac7612faf80753",
        html="string",
        subject="string",
        email_from="sender@company.com",
        email_to="string",
        email_cc=["john1@doe.com", "john2@doe.com"],
        email_bcc=["john1@doe.com", "john2@doe.com"],
        email_message_id="string",
        alt_id="61d6d1f9cdac7612faf80753",
        direction="outbound",
        date=datetime(2019, 8, 24, 14, 15, 22, tzinfo=UTC),
        call=Call(to="+15037081210", from_="+15037081210", status="completed"),
    )
    assert json.loads(encode(message)) == wire
    assert msgspec.json.decode(json.dumps(wire), type=InboundMessage) == message


def test_what_is_not_given_is_not_sent() -> None:
    """No null and no empty list: the API answers 422 to ``attachments: []``."""
    assert encode(SMS) == (
        b'{"type":"SMS","contactId":"c1","direction":"inbound",'
        b'"date":"2024-05-01T09:30:00Z","message":"hi"}'
    )
    empty = replace(SMS, attachments=[], email_cc=[], email_bcc=[])
    assert encode(normalised(empty)) == encode(SMS)
    assert encode(verified(empty)[0]) == encode(SMS)
    sequence: Any = ()
    assert encode(verified(replace(SMS, attachments=sequence))[0]) == encode(SMS)
    assert json.loads(encode(InboundMessage(type="Call", call=Call(to="+1")))) == {
        "type": "Call",
        "call": {"to": "+1"},
    }


@pytest.mark.parametrize(
    "date",
    [
        WHEN,
        WHEN.astimezone(timezone(timedelta(hours=2))),
        WHEN.astimezone(timezone(-timedelta(hours=9, minutes=30))),
        WHEN.astimezone(ZoneInfo("America/New_York")),
        "2024-05-01T11:30:00+02:00",
    ],
    ids=str,
)
def test_dates_are_sent_in_utc(date: Any) -> None:  # noqa: ANN401 - a program may give any type
    """Whatever offset they came with."""
    message, problems, _ = verified(replace(SMS, date=date))
    assert problems == ()
    assert json.loads(encode(message))["date"] == "2024-05-01T09:30:00Z"
    assert encode(message) == encode(SMS)
    assert verified(replace(SMS, date=date))[2] == encode(SMS)


def test_a_message_in_order_is_taken_as_it_is() -> None:
    """Nothing is copied where nothing is to be changed."""
    assert normalised(SMS) is SMS
    assert verified(SMS) == (SMS, (), encode(SMS))


@pytest.mark.parametrize("hours", [-14, 14])
@pytest.mark.parametrize("year", [1, 9999])
def test_a_date_that_utc_does_not_have_is_a_problem(year: int, hours: int) -> None:
    """An hour before the year 1 there is no date: said so, and no other error."""
    edge = datetime(year, 1, 1) if year == 1 else datetime(year, 12, 31, 23)  # noqa: DTZ001
    message = replace(SMS, date=edge.replace(tzinfo=timezone(timedelta(hours=hours))))
    outside = (year == 1) == (hours > 0)
    assert [problem.field for problem in verified(message)[1]] == (["date"] if outside else [])


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"message": b"hi"}, Problem("message", "has a wrong type", "decode its bytes to text")),
        (
            {"alt_id": bytearray(b"7")},
            Problem("altId", "has a wrong type", "decode its bytes to text"),
        ),
        (
            {"attachments": ("https://a.example/b", b"https://a.example/c")},
            Problem("attachments", "has a wrong type", "decode its bytes to text"),
        ),
        ({"call": Call(to=b"+1")}, Problem("call", "has a wrong type", "decode its bytes to text")),  # type: ignore[arg-type]
        ({"date": float("nan")}, Problem("date", "has a wrong type", "give an aware datetime")),
        ({"html": 7}, Problem("html", "has a wrong type", "expected `str | null`, got `int`")),
        (
            {"attachments": "https://x.com/a"},
            Problem("attachments", "has a wrong type", "expected `array | null`, got `str`"),
        ),
        (
            {"email_cc": [None]},
            Problem("emailCc[0]", "has a wrong type", "expected `str`, got `null`"),
        ),
        (
            {"direction": "sideways"},
            Problem("direction", "has an unknown value", "use one of inbound, outbound"),
        ),
        ({"date": "yesterday"}, Problem("date", "has a wrong type", "give an aware datetime")),
        ({"date": object()}, Problem("date", "cannot be encoded", "give an aware datetime")),
        ({"date": 7}, Problem("date", "has a wrong type", "give an aware datetime")),
        (
            {"message": object()},
            Problem("message", "cannot be encoded", "see the type of the field"),
        ),
        (
            {"subject": "\ud800"},
            Problem("subject", "has half a character", "remove lone surrogates"),
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_a_problem(fields: dict[str, Any], problem: Problem) -> None:
    """A program can put anything into a field: told by field and type, never by content."""
    assert verified(replace(SMS, **fields))[1] == (problem,)


@pytest.mark.parametrize("given", [None, ("SMS", "c1"), {"type": "SMS"}, Record(message=SMS)])
def test_what_is_no_message_is_told_what_to_be(given: Any) -> None:  # noqa: ANN401 - as of a program
    """Such as a row of a database, or a dict, of which keys that are misspelled would be lost."""
    told = RecordBuilder(lambda _: "l1").draft_of(Record(message=given)).problem or ""
    fix = "give an InboundMessage, or to an Ingestor a Record that holds one"
    assert told == f"record has a wrong type: {fix}"
    if isinstance(given, tuple):
        assert RecordBuilder(lambda _: "l1").draft_of(given).problem == told  # type: ignore[arg-type]


class Text(str):
    """As parsers of HTML give it."""

    __slots__ = ()


class Moment(datetime):
    """As a data frame has it."""


def test_subclasses_of_text_and_date_are_what_they_are() -> None:
    """Told from the plain ones by nothing, key included."""
    date = Moment.combine(WHEN.date(), WHEN.astimezone(ZoneInfo("America/New_York")).timetz())
    given = replace(SMS, message=Text("hi"), date=date)
    assert verified(given) == (SMS, (), encode(SMS))
    builder = RecordBuilder(lambda _: "l1")
    assert builder.draft_of(given) == builder.draft_of(SMS)
    assert verified_contact(Contact(Text("+12125550100")))[0] == Contact("+12125550100")


def test_half_a_character_in_a_name_is_a_problem() -> None:
    """It ended the run of all the others."""
    named = Record(
        message=replace(SMS, contact_id=None), contact=Contact("+12125550100", name="J\ud83d")
    )
    told = RecordBuilder(lambda _: "l1").draft_of(named).problem
    assert told == "contact has half a character: remove lone surrogates"


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"type": "sms"}, "type"), ({"call": {"status": "asleep"}}, "call.status")],
)
def test_a_wrong_choice_is_told_the_choices(fields: dict[str, Any], field: str) -> None:
    """Types, directions and statuses are words of a list."""
    (problem,) = verified(replace(SMS, **fields))[1]
    assert (problem.field, problem.wrong) == (field, "has an unknown value")
    assert problem.fix.startswith("use one of ")


def test_rules_are_checked_of_what_has_the_right_types() -> None:
    """See the table of rules."""
    assert [problem.field for problem in verified(replace(SMS, direction=None))[1]] == ["direction"]


@given(st.sampled_from(["message", "subject", "html", "email_to"]), st.text(min_size=6))
def test_a_problem_never_repeats_a_value(field: str, text: str) -> None:
    """What cannot be encoded, or is in the wrong place, stays out of the message about it."""
    canary = f"Blue-Heron-77{text}"
    for value in (canary + "\ud800", [canary], {canary: canary}, canary.encode("utf-8", "ignore")):
        _, problems, _ = verified(replace(SMS, direction=canary, **{field: value}))
        assert problems
        assert "Blue-Heron" not in " ".join(map(str, problems))


def test_a_draft_is_what_the_outbox_keeps() -> None:
    """Place, order, key, body, and where it came from."""
    kept = draft(SMS, location="l1", now_ms=NOW_MS, line=7, raw=b"raw")
    assert kept.location == "l1"
    assert kept.date == WHEN_MS
    assert kept.key == content_key("l1", SMS)
    assert kept.counted
    assert kept.payload == encode(SMS)
    assert (kept.line, kept.raw, kept.problem) == (7, b"raw", None)


@pytest.mark.parametrize(
    ("date", "ms"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(2024, 5, 1, 9, 30, 0, 123_999, tzinfo=UTC), WHEN_MS + 123),
        (datetime(2024, 5, 1, 9, 30, 1, tzinfo=UTC), WHEN_MS + 1000),
        (datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC), -1),
    ],
    ids=str,
)
def test_a_date_counts_in_milliseconds(date: datetime, ms: int) -> None:
    """Of the Unix epoch, and whole ones."""
    assert draft(replace(SMS, date=date), location="l1", now_ms=NOW_MS).date == ms


def test_a_date_without_an_offset_is_not_guessed() -> None:
    """It is a problem, and is not read as local time on the way there."""
    message, problems, _ = verified(replace(SMS, date=WHEN.replace(tzinfo=None)))
    assert message.date == WHEN.replace(tzinfo=None)
    assert [(problem.field, problem.wrong) for problem in problems] == [("date", "has no offset")]


def test_a_record_without_a_date_comes_after_the_past() -> None:
    """In its lane it stands where it was read."""
    assert draft(replace(SMS, date=None), location="l1", now_ms=NOW_MS).date == NOW_MS


def test_a_refused_record_is_kept_as_it_was() -> None:
    """With what is wrong, and without a body that could be sent."""
    problems = (Problem("type", "is missing", "write one"), Problem("date", "is odd", "mend it"))
    kept = unsent_draft(problems, location="l1", id=None, line=3, raw=b"raw")
    assert (kept.payload, kept.line, kept.raw, kept.counted) == (None, 3, b"raw", True)
    assert (kept.lane, kept.date) == (0, 0)
    assert kept.problem == "type is missing: write one; date is odd: mend it"
    same = unsent_draft(problems[:1], location="l1", id=None, line=9, raw=b"raw")
    other = unsent_draft(problems, location="l1", id=None, line=3, raw=b"war")
    assert same.key == kept.key != other.key


@pytest.mark.parametrize("key", [None, b"c" + bytes(18)])
def test_a_refused_record_has_the_key_that_it_will_have(key: bytes | None) -> None:
    """By its id, or by the key it came back with: mended, it takes its own place."""
    kept = unsent_draft((), location="l1", id=None if key else "7", line=1, raw=b"", key=key)
    again = draft(SMS, location="l1", id=None if key else "7", now_ms=NOW_MS, key=key)
    assert kept.key == again.key
    assert not kept.counted
    assert not again.counted


CHANGES: dict[str, Any] = {
    "type": "WhatsApp",
    "contact_id": "c2",
    "direction": "outbound",
    "date": WHEN + timedelta(seconds=1),
    "message": "ho",
    "subject": "s",
    "html": "<p>",
    "email_from": "a@x.com",
    "email_to": "a@x.com",
    "email_cc": ["a@x.com"],
    "email_bcc": ["a@x.com"],
    "alt_id": "a1",
    "attachments": ["https://x.com/a"],
    "call": Call(to="+1"),
}


def test_the_same_record_has_the_same_key() -> None:
    """However often the file is read, and whatever read it."""
    again = msgspec.json.decode(encode(SMS), type=InboundMessage)
    assert key_of(SMS) == key_of(again)
    assert key_of(SMS) == key_of(replace(SMS, date=WHEN.astimezone(timezone(timedelta(hours=2)))))


@pytest.mark.parametrize("field", CHANGES)
def test_another_content_is_another_record(field: str) -> None:
    """Each field of the content counts, and where it stands."""
    changed = replace(SMS, **{field: CHANGES[field]})
    assert key_of(changed) != key_of(SMS)


def test_no_two_changes_look_alike() -> None:
    """The same text in another field is another content."""
    calls = [Call(to="+1"), Call(from_="+1"), Call(status="busy"), Call()]
    messages = [SMS, *(replace(SMS, **{field: value}) for field, value in CHANGES.items())]
    messages += [replace(SMS, call=call) for call in calls[1:]]
    keys = [key_of(message) for message in messages]
    assert len(set(keys)) == len(keys)
    assert key_of(SMS) != key_of(SMS, "l2")


def test_a_mended_provider_keeps_the_record() -> None:
    """A record refused for its provider is sent again with another one as the same record."""
    assert key_of(SMS) == key_of(replace(SMS, conversation_provider_id="p1"))


def test_the_conversation_counts_where_there_is_no_contact() -> None:
    """One of the two says who it is with."""
    first = replace(SMS, contact_id=None, conversation_id="v1")
    assert key_of(first) != key_of(replace(first, conversation_id="v2"))
    assert key_of(SMS) == key_of(replace(SMS, conversation_id="v1"))


@given(st.lists(st.datetimes(min_value=datetime(1970, 1, 1)), min_size=2, max_size=6))  # noqa: DTZ001
def test_keys_follow_the_dates(dates: list[datetime]) -> None:
    """A history in order lands in the index in order."""
    keys = [key_of(replace(SMS, date=date.replace(tzinfo=UTC))) for date in sorted(dates)]
    prefixes = [key[:7] for key in keys]
    assert prefixes == sorted(prefixes)
    for (one, date), (other, later) in itertools.pairwise(zip(keys, sorted(dates), strict=True)):
        assert (one == other) == (_whole_ms(date) == _whole_ms(later))


def _whole_ms(date: datetime) -> datetime:
    return date.replace(microsecond=date.microsecond // 1000 * 1000)


def test_a_date_before_1970_has_a_key_too() -> None:
    """And another one than any other date."""
    keys = {key_of(replace(SMS, date=datetime(year, 1, 1, tzinfo=UTC))) for year in range(1, 2200)}
    assert len(keys) == 2199
    assert all(len(key) == 19 for key in keys)


def test_an_own_id_is_the_key() -> None:
    """Whatever the content; and it counts no occurrences."""
    kept = draft(SMS, location="l1", id="7", now_ms=NOW_MS)
    other = draft(replace(SMS, message="ho"), location="l1", id="7", now_ms=NOW_MS)
    assert kept.key == other.key
    assert not kept.counted
    assert key_text(kept.key) == "7"
    assert draft(SMS, location="l1", id="", now_ms=NOW_MS).key == content_key("l1", SMS)


def test_ends_of_lines_are_no_content() -> None:
    """A table that a spreadsheet saved again has other ones: with an id or without, it is known."""
    windows, other = (replace(SMS, message=text) for text in ("a\r\nb", "a\nb"))
    assert key_of(windows) == key_of(other) != key_of(replace(SMS, message="a b"))
    digests = {content_digest(encode(message), None) for message in (windows, other)}
    assert len(digests) == 1


def test_copies_of_a_mail_say_the_same_with_the_same_files() -> None:
    """In whatever order. Another file makes another mail of it, though its texts are the same."""

    def said(*attachments: str) -> bytes:
        mail = replace(SMS, type="Email", attachments=list(attachments))
        return content_digest(encode(mail), None, mail=True)

    assert said("https://x/a", "https://x/b") == said("https://x/b", "https://x/a")
    assert said("https://x/a") != said("https://x/b")


def test_the_notes_of_a_call_are_not_what_it_says() -> None:
    """An option makes its text of them: read without it, it is the same call."""

    def said(**changes: Any) -> bytes:  # noqa: ANN401 - any field
        message = InboundMessage(type="Call", direction="inbound", contact_id="c1", date=WHEN)
        return content_digest(encode(replace(message, **changes)), None)

    assert said(message="noted") == said() != said(contact_id="c2")
    assert said(type="SMS", message="a") != said(type="SMS", message="b")


def test_an_id_that_reads_like_a_key_is_another_key() -> None:
    """Somebody may take a key from a report for an id: the two records stay two."""
    ours = key_text(content_key("l1", SMS))
    assert key_of(SMS, id_=ours) != content_key("l1", SMS)
    assert key_text(key_of(SMS, id_=ours)) != ours


def test_a_record_that_came_from_no_source_has_no_line() -> None:
    """Nor a form of its own."""
    kept = draft(SMS, location="l1", now_ms=NOW_MS)
    assert (kept.line, kept.raw) == (0, None)


def test_a_record_without_an_id_counts_its_occurrences() -> None:
    """Two equal SMS are two records: the outbox numbers them."""
    assert draft(SMS, location="l1", now_ms=NOW_MS).counted


def test_a_long_id_is_kept_as_its_digest() -> None:
    """Up to 120 bytes an id is legible; beyond, two ids are still two."""
    longest = "x" * MAX_ID
    assert key_text(key_of(SMS, id_=longest)) == longest
    texts = [key_text(key_of(SMS, id_="x" * (MAX_ID + more))) for more in (1, 2)]
    assert texts[0] != texts[1]
    assert all(text.startswith("lc-") and len(text) == 45 for text in texts)


IDS = st.text(min_size=1) | st.text(min_size=1, alphabet=st.characters()).map(lambda text: text * 9)
LOOKS_LIKE_OURS = st.binary(max_size=24).map(lambda key: f"lc-{key.hex()}")


@given(IDS | LOOKS_LIKE_OURS)
@example("lc-")
@example("lc-63" + "0" * 36)
@example("\ud800")
@example("ü漢🐦")
def test_a_key_is_legible_and_can_be_read_back(id_: str) -> None:
    """An id in any language names one key, and a key's text leads back to it."""
    key = key_of(SMS, id_=id_)
    assert key_from_text(key_text(key)) == key
    ordinary = len(id_.encode("utf-8", "replace")) <= MAX_ID and not id_.startswith("lc-")
    if ordinary and not any("\ud800" <= char <= "\udfff" for char in id_):
        assert key_text(key) == id_


@given(st.sampled_from([b"l", b"c", b"r"]), st.binary(min_size=24, max_size=24), st.booleans())
def test_keys_of_content_can_be_read_back(kind: bytes, digest: bytes, numbered: bool) -> None:  # noqa: FBT001
    """Also those of equal records, which end in their number."""
    length = {b"l": 21, b"c": 19, b"r": 16}[kind] + 2 * numbered
    key = (kind + digest)[:length]
    assert key_text(key) == f"lc-{key.hex()}"
    assert key_from_text(key_text(key)) == key


@pytest.mark.parametrize("text", ["lc-", "lc-zz", "lc-00", f"lc-63{'0' * 34}"])
def test_a_text_that_is_no_key_of_ours_is_an_id(text: str) -> None:
    """Wrong digits, an unknown kind, a wrong length."""
    assert key_from_text(text) == key_of(SMS, id_=text)


@given(st.lists(IDS | LOOKS_LIKE_OURS, unique=True, min_size=2, max_size=5))
def test_two_ids_are_two_keys(ids: list[str]) -> None:
    """Neither the keys nor what is stamped for them can be mistaken."""
    keys = [key_of(SMS, id_=id_) for id_ in ids]
    assert len(set(keys)) == len(ids)
    assert len({key_text(key) for key in keys}) == len(ids)


def test_a_body_is_stamped_with_its_key() -> None:
    """So that looking for it is certain; the rest stays as it was."""
    body = stamped(encode(SMS), key_of(SMS, id_='ü "7"'))
    assert json.loads(body) == json.loads(encode(SMS)) | {"altId": 'ü "7"'}


def test_an_own_alt_id_stays() -> None:
    """The user's is as good, and is theirs."""
    payload = encode(replace(SMS, alt_id="a1"))
    assert stamped(payload, key_of(SMS)) == payload


NASTY = ['"altId":"', '\\"altId":"', '","altId":"x', "altId", '"altId":', "\\", '\\\\","altId":"']


@given(
    st.sampled_from(["message", "subject", "html", "email_to", "contact_id", "alt_id"]),
    st.lists(st.sampled_from(NASTY) | st.text(max_size=3), min_size=1, max_size=5).map("".join),
    st.sampled_from(["7", '"altId":"', "x"]),
)
def test_a_body_never_has_two_alt_ids(field: str, text: str, id_: str) -> None:
    """Whatever the texts contain: one altId, the record's own or else its key."""
    message = replace(SMS, **{field: text})
    if field == "alt_id" and not text:
        return
    body = stamped(encode(message), key_of(SMS, id_=id_))
    names = [name for name, _ in json.loads(body, object_pairs_hook=list)]
    assert names.count("altId") == 1
    assert len(set(names)) == len(names)
    decoded = msgspec.json.decode(body, type=InboundMessage)
    assert decoded == replace(message, alt_id=message.alt_id or id_)


def lane_of(location: str = "l1", **fields: Any) -> int:  # noqa: ANN401 - any field
    """The lane of a record."""
    return draft(replace(SMS, **fields), location=location, now_ms=NOW_MS).lane


def test_a_contact_that_is_named_has_a_key_and_a_lane_of_its_own() -> None:
    """By its number, else its address; its name tells nothing apart. An id goes before it."""

    def drafted(contact: Contact, **fields: Any) -> tuple[bytes, int]:  # noqa: ANN401 - any field
        message = InboundMessage(type="SMS", direction="inbound", message="hi", **fields)
        made = draft(message, location="l", now_ms=0, deferred=Deferred(contact=contact))
        return made.key, made.lane

    kim = drafted(Contact(phone="+1"))
    assert drafted(Contact(phone="+1", email="k@x", name="Kim")) == kim
    others = [drafted(Contact(phone="+2")), drafted(Contact(email="k@x"))]
    others.append(drafted(Contact(phone="+1"), contact_id="c"))
    for which in (0, 1):
        assert len({one[which] for one in [kim, *others]}) == 4


def test_files_are_told_apart_by_what_they_hold() -> None:
    """So that a folder can be moved: an order, a URL or a content makes another record."""

    def key(*attachments: str | LocalFile) -> bytes:
        message = InboundMessage(type="SMS", contact_id="c", direction="inbound", message="hi")
        return content_key("l", message, Deferred(attachments=list(attachments)))

    here = key(LocalFile("/here/a.png", "d1"), LocalFile("/here/b.png", "d2"))
    assert key(LocalFile("/there/x.png", "d1"), LocalFile("/there/y.png", "d2")) == here
    assert key(LocalFile("/here/b.png", "d2"), LocalFile("/here/a.png", "d1")) != here
    assert key(LocalFile("/here/a.png", "d1"), "https://x/b.png") != here


def test_a_mail_is_known_by_its_message_id_alone() -> None:
    """With an id of its own, two that have it are one record, or one of them is refused."""
    message = InboundMessage(type="Email", contact_id="c", direction="inbound", message="hi")

    def is_mail(deferred: Deferred | None, id_: str | None, key: bytes | None = None) -> bool:
        made = draft(message, location="l", id=id_, now_ms=0, deferred=deferred, key=key)
        return made.mail

    assert is_mail(Deferred(mail="<m@x>"), "<m@x>")
    assert not is_mail(Deferred(mail="<m@x>"), "row 7")
    assert not is_mail(Deferred(mail="<m@x>"), "<m@x>", b"ifrom a list")
    assert not is_mail(Deferred(outbound_call=True), None)
    assert not is_mail(None, "<m@x>")


def test_a_lane_is_a_contact_of_a_location() -> None:
    """Or a conversation, where no contact is named; nothing else tells lanes apart."""
    assert lane_of() == lane_of(message="ho", date=None, type="WhatsApp", conversation_id="v9")
    no_contact: dict[str, Any] = {"contact_id": None}
    lanes = [
        lane_of(),
        lane_of("l2"),
        lane_of(contact_id="c2"),
        lane_of(**no_contact, conversation_id="v1"),
        lane_of(**no_contact, conversation_id="v2"),
    ]
    assert len(set(lanes)) == len(lanes)
    assert all(-(2**63) <= lane < 2**63 for lane in lanes)
