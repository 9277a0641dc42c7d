from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from bad_inputs import parse, record

from leadconnector_async.errors import SourceError
from leadconnector_async.models import Contact
from leadconnector_async.sources import FailedRow, SourceOptions, open_source, write_failed

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.sources import Parsed

WHEN = "2024-01-31T09:30:00Z"
OWN = """
records = "data.items[*]"

[fields]
type = { constant = "SMS" }
direction = { column = "way", words = { in = "inbound", out = "outbound" } }
contact.phone = { inbound = "from.phoneNumber", outbound = "to[0].phone_number" }
date = { column = ["at"], formats = ["epoch-ms"] }
message = "text"
attachments = ["media[*].url"]

[not_carried]
"cost.amount" = "costs"

[[leave_out]]
where = { state = "dra*" }
as = "drafts"
"""
ITEM = {
    "way": "in",
    "from": {"phoneNumber": "+12125550100"},
    "to": [{"phoneNumber": "+12125550101"}, {"phoneNumber": "+12125550102"}],
    "at": 1706693400000,
    "text": "hello",
    "media": [{"url": "https://a.example/1"}, {"url": "https://a.example/2"}],
    "cost": {"amount": 0.5},
    "state": "sent",
}


def _messages(parsed: list[Parsed]) -> list[str | None]:
    assert [one.problems for one in parsed if one.problems] == []
    return [one.row.message for one in parsed if one.row is not None]


@pytest.fixture
def own(tmp_path: Path) -> SourceOptions:
    """A mapping of nested JSON."""
    (tmp_path / "own.toml").write_text(OWN)
    return SourceOptions(mapping_file=str(tmp_path / "own.toml"))


A, B = record(message="a"), record(message="b")


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([A, B]).encode(),
        json.dumps([A, B], indent=1).encode(),
        json.dumps({"messages": [A, B], "next_page": None}).encode(),
        json.dumps({"meta": {"n": 1}, "data": {"messages": [A, B]}}, indent=2).encode(),
        json.dumps(A, indent=1).encode() + b"\n" + json.dumps(B, indent=1).encode(),
        json.dumps({"messages": [A]}).encode() + b"\n" + json.dumps({"messages": [B]}).encode(),
        json.dumps({"m": [A]}, indent=1).encode() + json.dumps({"m": [B]}).encode(),
        json.dumps([{"messages": [A]}, {"messages": [B]}]).encode(),
        b"[\n" + json.dumps(A).encode() + b"\n, " + json.dumps(B).encode() + b"\n]\n",
        json.dumps([A, B], ensure_ascii=False).encode("utf-16"),
        json.dumps([A, B]).encode("utf-16-le"),
        b"\xef\xbb\xbf" + json.dumps({"messages": [A, B]}).encode(),
        gzip.compress(json.dumps([A, B]).encode()),
    ],
)
def test_records_are_read_in_whatever_layout(content: bytes) -> None:
    """Lists, objects that hold one, pages, objects over several lines; gzip, UTF-16, marks."""
    parsed, warnings = parse(content, ".json")
    assert _messages(parsed) == ["a", "b"]
    assert warnings == []


def test_lines_stay_lines() -> None:
    """A record of a line that has a list of objects; a line that is cut; a line that is a list."""
    with_list = json.dumps(record(tags=[{"a": 1}])).encode()
    parsed, _ = parse(b"\n".join([with_list] * 2), ".jsonl")
    assert len(_messages(parsed)) == 2
    cut = json.dumps(A).encode()[:-20] + b"\n" + json.dumps(B).encode()
    parsed, _ = parse(cut, ".jsonl")
    assert [one.row is None for one in parsed] == [True, False]
    assert parse(b"[]\n", ".json") == ([], [])


def test_records_have_the_line_where_they_begin() -> None:
    """As an editor counts them."""
    parsed, _ = parse(json.dumps({"m": [A, B]}, indent=1).encode(), ".json")
    assert [one.line for one in parsed] == [3, 10]


def test_several_lists_are_asked_about() -> None:
    """Unless a mapping names one, or all; what is beside it is told."""
    both = json.dumps({"sent": [A], "received": [B]}).encode()
    with pytest.raises(SourceError, match=r"sent\[\*\], received\[\*\]: name .* records = \"sent"):
        parse(both, ".json")


def test_chats_around_their_messages_are_no_records() -> None:
    """Unless they are dated texts themselves; and what is within a message is a part of it."""
    files = {"media": [{"id": "f", "url": "https://a.example/1", "type": "SMS"}]}
    mails = [{"direction": "in", "date": "2024-03-01T10:00:00Z", "body": "hi", **files}]
    chat = {"id": "c", "contact": {"phone": "+12125550100"}, "messages": mails}
    generic = SourceOptions(mapping_file="generic")
    for content in ([chat, chat], {"data": {"conversations": [chat, chat]}}):
        (first, second), warnings = parse(json.dumps(content).encode(), ".json", generic)
        assert first.row is not None
        assert first.row.contact == Contact(phone="+12125550100")
        assert first.row.attachments == ["https://a.example/1"]
        assert second.row is not None
        assert warnings == ['fields "media[*].id", "media[*].type" are not sent']
    dated = {"text": "a", "date": "2024-03-02T10:00:00Z"}
    one, lost = parse(json.dumps({"conversations": [chat | dated]}).encode(), ".json", generic)[0]
    assert one.row is not None
    assert one.row.message == "a"
    assert "messages within its records, which are not read: messages (1)" in str(lost.problems)


@pytest.mark.parametrize(
    ("around", "named"),
    [
        ({"phone": "+12125550100", "channel": "sms", "page": 2}, ["phone", "channel"]),
        ({"source": {"body": "hello", "type": "x"}, "parts": {"type": "list"}}, ["source.body"]),
    ],
)
def test_what_a_chat_says_itself_is_named_where_nothing_reads_it(
    around: dict[str, Any], named: list[str]
) -> None:
    """As a mapping names it. Its first message may be there, and who it is with."""
    told = {"phone": "+12125550111", "direction": "in", "date": "2024-03-01T10:00:00Z"}
    lists = around.get("parts", around)
    lists["messages"] = [told | {"body": "hi"}, told | {"body": "ho"}]
    generic = SourceOptions(mapping_file="generic")
    records, warnings = parse(json.dumps([{"id": "c"} | around]).encode(), ".json", generic)
    assert [record.row and record.row.message for record in records] == ["hi", "ho"]
    (warning,) = warnings
    assert warning.endswith((" is not sent", " are not sent"))
    assert [name for name in warning.split('"') if "^" in name] == [f"^.{one}" for one in named]


@pytest.mark.parametrize("inner", ["legs", "replies"])
def test_lists_within_messages_are_no_records_however_much_they_say(inner: str) -> None:
    """Nor those within what is no record, such as users: the messages are read as without them."""
    leg = {"id": "l", "date": "2024-03-01T10:00:00Z", "direction": "out", "body": "b"}
    leg |= {"from": "+12125550100", "to": "+12125550199", "status": "sent", "type": "SMS"}
    told = {"direction": "in", "date": "2024-03-01T10:00:00Z", "phone": "+12125550100"}
    generic = SourceOptions(mapping_file="generic")
    for kind in ({"body": "hi"}, {"duration": "5", "type": "Call"}):
        content = {"items": [told | kind | {inner: [leg]}], "users": [{"guid": "g", inner: [leg]}]}
        (one, *_), _ = parse(json.dumps(content).encode(), ".json", generic)
        assert one.row is not None
        assert one.row.direction == "inbound"


@pytest.mark.parametrize(
    ("inner", "is_lost"),
    [
        ({"type": "text", "body": "hi", "createdAt": "2024-03-01T10:00:00Z"}, False),
        ({"code": 1, "message": "bad", "timestamp": "2024-03-01T10:00:00Z"}, False),
        ({"author": {"id": 7}, "body": "ho", "createdAt": "2024-03-01T10:00:00Z"}, True),
        ({"direction": "out", "body": "ho", "date": "2024-03-01T10:00:00Z"}, True),
    ],
)
@pytest.mark.parametrize("ending", [".json", ".jsonl"])
def test_messages_within_messages_are_a_problem_of_the_file(
    inner: dict[str, Any], ending: str, *, is_lost: bool
) -> None:
    """Parts of the message itself, and its errors, are none: nobody says that he wrote them."""
    told = {"direction": "in", "date": "2024-03-01T10:00:00Z", "phone": "+12125550100"}
    content = [told | {"text": "hi", "inner": [inner, inner]}]
    text = json.dumps(content if ending == ".json" else content[0])
    generic = SourceOptions(mapping_file="generic")
    (record, *lost), _ = parse(text.encode(), ending, generic)
    assert record.row is not None
    assert [problem.wrong for one in lost for problem in one.problems] == [
        "holds messages within its records, which are not read: inner (2)"
    ] * is_lost


def test_markup_is_told_as_of_tables() -> None:
    """It is sent as it stands, and of a text nobody wants it."""
    told = {"direction": "in", "date": "2024-03-01T10:00:00Z", "phone": "+12125550100"}
    content = json.dumps([told | {"body": "<p>Are you open?</p>"}, told | {"body": "a < b"}])
    (one, other), _ = parse(content.encode(), ".json", SourceOptions(mapping_file="generic"))
    assert [notice[:12] for notice in one.notices] == ["text is HTML"]
    assert other.notices == ()


def test_numbers_of_all_items_are_read_as_their_texts_are() -> None:
    """JSON writes some telephone numbers as numbers."""
    sent = {"direction": "out", "date": "2024-03-01T10:00:00Z", "text": "hi"}
    content = json.dumps([sent | {"people": {"items": [{"number": 12125550100}]}}])
    options = SourceOptions(
        mapping_file="generic", mapping={"contact.phone": "people.items[*].number"}, region="US"
    )
    (one,), _ = parse(content.encode(), ".json", options)
    assert one.row is not None
    assert one.row.contact == Contact(phone="+12125550100")


def test_a_refused_record_is_listed_with_what_was_around_it() -> None:
    """The list of failed ones stands alone: mended there, it is with the same contact."""
    bad = {"direction": "in", "date": "nonsense", "body": "hi"}
    chat = {"contact": {"phone": "+12125550100"}, "messages": [bad, {}]}
    generic = SourceOptions(mapping_file="generic")
    (one, empty), _ = parse(json.dumps(chat).encode(), ".json", generic)
    assert (one.row, empty.raw) == (None, b"{}")
    mended = one.raw.replace(b"nonsense", b"2024-03-01T10:00:00Z")
    (again,), _ = parse(mended, ".jsonl", generic)
    assert again.row is not None
    assert again.row.contact == Contact(phone="+12125550100")


def test_lists_that_are_not_read_are_told(tmp_path: Path) -> None:
    """As a problem of the file where nobody has named its list, else as a warning."""
    content = json.dumps({"messages": [A], "users": [{"x": 1}, {"y": 2}]}).encode()
    parsed, _ = parse(content, ".json")
    assert parsed[0].row is not None
    assert str(parsed[1].problems[0]).startswith(
        "file has objects in other lists than messages[*]: users[*] (2): name the lists"
    )
    (tmp_path / "m.toml").write_text(
        'records = "messages[*]"\nfields.type = "type"\nfields.date = "date"\n'
    )
    named = SourceOptions(mapping_file=str(tmp_path / "m.toml"))
    parsed, warnings = parse(content, ".json", named)
    assert [one.row is None for one in parsed] == [False]
    assert "has objects in other lists than messages[*]: users[*] (2): not read" in warnings


def test_a_mapping_reads_nested_json(own: SourceOptions) -> None:
    """By paths, with numbers as text, each item of a list, and what is not carried over."""
    draft = ITEM | {"state": "draft"}
    out = ITEM | {"way": "OUT", "media": None, "cost": None, "price": 3}
    content = json.dumps({"data": {"items": [ITEM, draft, out]}}, indent=1).encode()
    (first, left, second), warnings = parse(content, ".json", own)
    assert first.row is not None
    assert second.row is not None
    assert first.row.contact == Contact(phone="+12125550100")
    assert second.row.contact == Contact(phone="+12125550101")
    assert (first.row.direction, second.row.direction) == ("inbound", "outbound")
    assert str(first.row.date) == "2024-01-31 09:30:00+00:00"
    assert first.row.attachments == ["https://a.example/1", "https://a.example/2"]
    assert (first.notices, second.notices) == (("costs",), ())
    assert left.left_out == "drafts"
    assert warnings == ['fields "to[*].phoneNumber", "price" are not sent']


def test_a_mapping_reads_json_lines(tmp_path: Path) -> None:
    """Values that are lists or objects are problems, texts that say null are texts."""
    (tmp_path / "own.toml").write_text(OWN.replace('records = "data.items[*]"', ""))
    options = SourceOptions(mapping_file=str(tmp_path / "own.toml"))
    lines = [ITEM, ITEM | {"text": ["a", {"b": 1}]}, ITEM | {"text": "null"}]
    content = b"\n".join(json.dumps(line).encode() for line in lines)
    (good, bad, null), _ = parse(content, ".jsonl", options)
    assert good.row is not None
    assert str(bad.problems[0]).startswith("message is a list")
    assert null.row is not None
    assert null.row.message == "null"


def test_a_list_of_failed_records_is_read_by_the_same_mapping(
    own: SourceOptions, tmp_path: Path
) -> None:
    """One a line, with its keys as they were, its location, and the key that it replaces."""
    bad = ITEM | {"way": "up", "locationId": "another system's"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"data": {"items": [bad]}}, indent=1))
    with open_source(str(path), own) as source:
        (one,), form = list(source), source.form
    assert one.row is None
    with (tmp_path / "failed.jsonl").open("wb") as out:
        row = FailedRow("key 1", "it failed", "loc", form, one.raw, None, str(path), one.line)
        write_failed([row], out, forms={form})
    text = (tmp_path / "failed.jsonl").read_text().replace('"up"', '"in"')
    (tmp_path / "failed.jsonl").write_text(text)
    with open_source(str(tmp_path / "failed.jsonl"), own) as source:
        (again,) = source
    assert again.row is not None
    assert (again.row.outbox_key, again.row.location_id) == ("key 1", "loc")
    assert again.row.message == "hello"


def test_a_broken_record_costs_itself_and_a_cut_the_rest() -> None:
    """What is whole is kept; the file's own problem goes away when it is read whole."""
    text = json.dumps([A, B], indent=1).replace('"b"', "b").encode()
    parsed, _ = parse(text, ".json")
    assert [one.row is None for one in parsed] == [False, True]
    assert str(parsed[1].problems[0]).startswith("record is no JSON")
    parsed, _ = parse(json.dumps([A, B]).encode()[:-30], ".json")
    assert parsed[0].row is not None
    assert [problem.field for problem in parsed[1].problems] == ["file"]


@pytest.mark.slow
def test_what_nests_too_deeply_is_refused() -> None:
    """Around the records and within them."""
    parsed, _ = parse(b"[" * 100_000, ".json")
    assert [one.problems[0].field for one in parsed] == ["file"]
    deep = b'[{"a":' + b"[" * 5000 + b"]" * 5000 + b"},\n" + json.dumps(A).encode() + b"]"
    parsed, _ = parse(deep, ".json")
    assert [one.row is None for one in parsed] == [True, False]


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"type": "SMS", "message": "hi", "contactId": "c", "locationId": "l"}, True),
        ({"body": "hi", "conversationId": "c", "contactId": "x", "type": "incoming"}, False),
        ({"direction": "inbound", "text": "x", "conversationId": "c"}, False),
    ],
)
def test_no_strangers_id_is_ours(fields: dict[str, Any], kept: bool) -> None:  # noqa: FBT001
    """Ids of JSON that is not plainly the API's are not sent, unless --map says so."""
    content = json.dumps(fields | {"date": WHEN}).encode()
    (one,), _ = parse(content, ".jsonl")
    assert (one.row is not None) == kept
    assert (len(one.notices) > 0) != kept
    assert all("is taken for another system's" in notice for notice in one.notices)
    mapping = {"conversationId": "conversationId", "type": "type", "message": "text"}
    given = {"conversationId": "c", "type": "SMS", "text": "x", "a": 1, "date": WHEN}
    own = json.dumps(given).encode()
    (one,), _ = parse(own, ".jsonl", SourceOptions(mapping=mapping))
    assert one.row is not None
    assert one.row.conversation_id == "c"


@pytest.mark.full
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A list of any length is read in pieces."""
    path = tmp_path / "a.json"
    line = json.dumps(record(message="x" * 1000))

    def peak(times: int) -> int:
        path.write_text(f'{{"messages":[{",".join([line] * times)}]}}')
        tracemalloc.start()
        with open_source(str(path)) as source:
            assert sum(1 for _ in source) == times
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(10)
    assert peak(2_000) < 1.5 * peak(1_000)


def test_what_is_no_object_in_a_list_fails_alone() -> None:
    """Also where the whole list stands in one line, as programs write it."""
    for indent in (None, 1):
        parsed, _ = parse(json.dumps([A, None, B], indent=indent).encode(), ".json")
        assert [one.row is None for one in parsed] == [False, True, False]


@pytest.mark.parametrize("layout", ["list", "object", "lines"])
@pytest.mark.parametrize("first", [{"text": None}, {}])
def test_a_file_is_recognised_though_its_first_record_lacks_something(
    tmp_path: Path, layout: str, first: dict[str, None]
) -> None:
    """Systems null, or leave out, what is empty: such as the text of a picture."""
    other: dict[str, Any] = {
        "id": "AC1",
        "from": "+12125550100",
        "to": ["+12125550101"],
        "direction": "incoming",
        "phoneNumberId": "PN1",
        "createdAt": WHEN,
    }
    items = [
        other | first | {"media": [{"url": "https://a.example/1"}]},
        other | {"id": "AC2", "text": "hello"},
    ]
    path = tmp_path / "a.json"
    if layout == "lines":
        path.write_text("\n".join(map(json.dumps, items)))
    else:
        path.write_text(json.dumps({"data": items} if layout == "object" else items))
    with open_source(str(path), SourceOptions()) as source:
        assert _messages([*source]) == [None, "hello"]


@pytest.mark.parametrize(
    ("pages", "told"),
    [
        ('{"next_page_uri": "/2?Page=1", "data": {"items": [%s]}}', "next_page_uri"),
        ('{"data": {"items": [%s], "nextPage": true}}', "data.nextPage"),
        ('{"data": {"items": [%s]}, "paging": {"next": {"after": "N"}}}', "paging.next.after"),
        ('{"data": {"items": [%s]}, "links": {"next": null}, "hasMore": false}', None),
        ('{"page": 1, "total_pages": 2, "data": {"items": [%s]}}', "total_pages"),
        (
            '{"data": {"items": [%s]}, "meta": {"last_page": 7, "current_page": 2}}',
            "meta.current_page",
        ),
        ('{"data": {"items": [%s]}, "meta": {"last_page": 7, "current_page": 7}}', None),
        ('{"page": 0, "num_pages": 1, "data": {"items": [%s]}}', None),
        ('{"page": 1, "per_page": 50, "total_pages": 3, "data": {"items": [%s]}}', "total_pages"),
        ('{"current_page": 3, "prev_page": 2, "total_pages": 3, "data": {"items": [%s]}}', None),
        ('{"page": 1, "pageCount": 2, "data": {"items": [%s]}}\n{"page": 2, "data": {}}', None),
        ('{"data": {"items": [%s]}, "about": "nextPage", "to": "x"}', None),
        ('{"data": {"items": [%s]}, "hasMore": true}\n{"data": {"items": []}}', None),
    ],
)
def test_a_page_that_others_follow_is_told(
    tmp_path: Path, own: SourceOptions, pages: str, told: str | None
) -> None:
    """Of several pages in one file the last one counts: it alone knows whether all are there."""
    path = tmp_path / "a.json"
    path.write_text(pages % json.dumps(ITEM))
    with open_source(str(path), own) as source:
        assert _messages([*source]) == ["hello"]
    says = f'says by "{told}" that more pages follow: see that they are imported too'
    assert [one for one in source.warnings if "pages" in one] == ([says] if told else [])


def test_files_lie_in_the_folder_that_the_mapping_names(tmp_path: Path, own: SourceOptions) -> None:
    """Of a path of another machine the last part counts, as where the export holds copies."""
    text = OWN.replace('["media[*].url"]', '{ column = ["media[*].url"], folder = "data" }')
    (tmp_path / "own.toml").write_text(text)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(b"png")
    media = [{"url": "/data/user/0/app_parts/a.png"}]
    (tmp_path / "a.json").write_text(json.dumps({"data": {"items": [ITEM | {"media": media}]}}))
    with open_source(str(tmp_path / "a.json"), own) as source:
        (one,) = source
    assert one.row is not None
    assert one.row.attachments == [(tmp_path / "data" / "a.png").as_uri()]
