# ruff: noqa: RUF001 - tables are written in all scripts
from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from bad_inputs import parse

from leadconnector_async.models import Contact
from leadconnector_async.sources import Parsed, SourceOptions

OPTIONS = SourceOptions(mapping_file="generic", region="US", timezone=ZoneInfo("America/New_York"))
FOREIGN = b"type,conversationId,contactId,locationId,direction,from,date,message\n"
JSON = (
    b'{"type":"SMS","conversationId":"CN1","contactId":"CT1","locationId":"LO1",'
    b'"direction":"inbound","from":"+1","date":"2024-01-31T09:30:00Z","message":"hi"}\n'
)
ROW = b"SMS,CN1,CT1,LO1,inbound,+12125550100,2024-01-31T09:30:00Z,hi\n"


def _read(header: str, *rows: str, **options: str) -> tuple[list[Parsed], list[str]]:
    content = "\n".join((header, *rows)).encode()
    given = {"mapping_file": "generic", "region": "US"} | options
    return parse(content, ".csv", SourceOptions(timezone=OPTIONS.timezone, **given))  # type: ignore[arg-type]


def test_heymarkets_form() -> None:
    """The other side by direction; what was never delivered is left out."""
    parsed, warnings = _read(
        "destination,source,content,sent_date,direction,message_sid,status",
        "+12125550100,+12125550111,hi,2024-01-31T15:04:05Z,inbound,SM1,delivered",
        "+12125550111,+12125550100,yo,2024-01-31T15:05:05Z,outbound-api,SM2,sent",
        "+12125550111,+12125550100,no,2024-01-31T15:06:05Z,Outbound Reply,SM3,Undelivered",
    )
    rows = [one.row for one in parsed if one.row]
    assert [(row.id, row.type, row.direction) for row in rows] == [
        ("SM1", "SMS", "inbound"),
        ("SM2", "SMS", "outbound"),
    ]
    assert {row.contact for row in rows} == {Contact(phone="+12125550111")}
    assert parsed[2].left_out == "messages that were never delivered"
    assert warnings == []


@pytest.mark.parametrize(
    ("column", "status"),
    [
        ("Estado", "Fallido"),
        ("Zustellstatus", "Nicht gesendet"),
        ("Statut", "Non remis"),
        ("SMS Status", "UNDELIV"),
        ("DLR", "REJECTD"),
    ],
)
def test_generic_leaves_out_what_was_never_delivered(column: str, status: str) -> None:
    """Under whatever name of the column, and by the codes of SMS gateways; of calls it is kept."""
    parsed, _ = _read(
        f"Phone,Typ,Direction,Date,Text,{column}",
        f"+12125550111,SMS,out,2024-01-31T15:04:05Z,no,{status}",
        "+12125550111,SMS,out,2024-01-31T15:04:05Z,yes,DELIVRD",
        f"+12125550111,Anruf,out,2024-01-31T15:04:05Z,rang,{status}",
    )
    assert [one.left_out for one in parsed] == ["messages that were never delivered", None, None]


def test_generic_reads_types_and_directions_of_other_languages() -> None:
    """One column may hold either: WhatsApp became SMS, and a direction was asked for."""
    for header, *words in (
        ("Telefon;Kanal;Richtung", "WhatsApp;Eingang", "SMS;gesendet"),
        ("Teléfono;Canal;Dirección", "WhatsApp;Entrante", "Mensaje de texto;Enviado"),
    ):
        rows = (f"+12125550111;{word};2024-01-31T15:04:05Z;hi" for word in words)
        parsed, _ = _read(f"{header};Date;Text", *rows)
        assert [one.row and (one.row.type, one.row.direction) for one in parsed] == [
            ("WhatsApp", "inbound"),
            ("SMS", "outbound"),
        ]
    for kind in ("Typ", "Type", "Tipo"):
        rows = (f"+12125550111;{word};2024-01-31T15:04:05Z;hi" for word in ("Eingehend", "Enviado"))
        parsed, _ = _read(f"Phone;{kind};Date;Text", *rows)
        assert [one.row and (one.row.type, one.row.direction) for one in parsed] == [
            ("SMS", "inbound"),
            ("SMS", "outbound"),
        ]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("Nadawca;Odbiorca;Kierunek;Data;Godzina;Treść", "Przychodząca;Wychodząca;Nieudana"),
        (
            "Avsändare;Mottagare;Riktning;Datum;Klockslag;Meddelande",
            "Inkommande;Utgående;Ej levererad",
        ),
        ("Gönderen;Alıcı;Yön;Tarih;Saat;Mesaj", "Gelen;Giden;İletilemedi"),
        ("Отправитель;Получатель;Тип;Дата;Время;Текст", "Входящее;Исходящее;Не доставлено"),
    ],
)
def test_generic_reads_polish_swedish_turkish_and_russian(header: str, words: str) -> None:
    """Their columns, directions and states: no column of them was known."""
    received, sent, lost = words.split(";")
    ours, theirs, at = "+12125550100", "+12125550111", "31.01.2024;10:04"
    parsed, warnings = _read(
        f"{header};Status",
        f"{theirs};{ours};{received};{at};hi;",
        f"{ours};{theirs};{sent};{at};yo;",
        f"{ours};{theirs};{sent};{at};no;{lost}",
    )
    assert warnings == []
    rows = [one.row for one in parsed if one.row]
    assert [(row.type, row.direction, row.message) for row in rows] == [
        ("SMS", "inbound", "hi"),
        ("SMS", "outbound", "yo"),
    ]
    assert {row.contact for row in rows} == {Contact(phone=theirs)}
    assert {str(row.date) for row in rows} == {"2024-01-31 15:04:00+00:00"}
    assert parsed[2].left_out == "messages that were never delivered"


def test_json_with_a_duration_and_a_text_that_is_null_is_no_call() -> None:
    """Of pictures, the key of the text is there, and of one kind of object all have all keys."""
    record = (
        b'{"phone": "+12125550111", "direction": "inbound", "date": "2024-01-31T15:04:05Z",'
        b' "duration": 0, "media": ["https://files.example/1.png"]%b}\n'
    )
    parsed, _ = parse(record % b', "body": null' + record % b"", ".jsonl", OPTIONS)
    assert [one.row and one.row.type for one in parsed] == ["SMS", "Call"]


@pytest.mark.parametrize("name", ["Duration", "Dauer", "Czas trwania"])
def test_a_table_of_durations_and_no_text_is_of_calls(name: str) -> None:
    """Its rows were refused, as SMS without a text; one that counts nothing notes none."""
    parsed, _ = _read(
        f"Number,Date,Type,Status,{name}",
        "+12125550111,2024-01-31T15:04:05Z,Incoming,,72",
        "+12125550111,2024-01-31T15:05:05Z,Rejected,,-",
        "+12125550111,2024-01-31T15:05:05Z,Outgoing,Failed,0",
    )
    made = [one.row and (one.row.type, one.row.direction, one.row.message) for one in parsed]
    assert made == [
        ("Call", "inbound", "Duration: 0:01:12"),
        ("Call", "inbound", None),
        ("Call", "outbound", None),
    ]
    parsed, _ = _read(
        f"Phone,Direction,Date,Text,{name}", "+12125550111,in,2024-01-31T15:04Z,hi,72"
    )
    assert [one.row and one.row.type for one in parsed] == ["SMS"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Typ połączenia", "Przychodzące;Wychodzące;Nieodebrane"),
        ("Typ", "Inkommande;Utgående;Missat"),
        ("Tür", "Gelen;Giden;Cevapsız"),
        ("Тип", "Входящий;Исходящий;Пропущенный"),
        ("Typ", "Eingehender Anruf;Ausgehender Anruf;Verpasst"),
        ("Tipo de llamada", "Llamada entrante;Llamada saliente;Llamada perdida"),
    ],
)
def test_generic_reads_calls_of_other_languages(name: str, words: str) -> None:
    """And which of them were missed."""
    rows = (f"+12125550111;2024-01-31T15:04:05Z;{word};" for word in words.split(";"))
    parsed, _ = _read(f"Number;Date;{name};Duration", *rows)
    assert [
        one.row and (one.row.type, one.row.direction, one.row.call and one.row.call.status)
        for one in parsed
    ] == [("Call", "inbound", None), ("Call", "outbound", None), ("Call", "inbound", "no-answer")]


def test_names_of_columns_that_several_vendors_have() -> None:
    """The direction was asked for, and names were lost."""
    parsed, _ = _read(
        "Contact First Name,Contact Last Name,Phone 1,Sent/Received,Created Datetime,Text",
        "Kim,Lee,+12125550111,Received,2024-01-31T15:04:05Z,hi",
    )
    (row,) = [one.row for one in parsed]
    assert row is not None
    assert (row.direction, row.contact) == (
        "inbound",
        Contact(phone="+12125550111", name="Kim Lee"),
    )


def test_what_quo_and_twilio_never_delivered_is_left_out() -> None:
    """Whichever of their exports says so."""
    table = (
        "id,conversationId,body,sentAt,to,from,direction,status\n"
        "AC1,CN1,hi,2024-03-29T15:06:41Z,+13035550142,+13035550100,outgoing,undelivered\n"
        "AC2,CN1,yo,2024-03-29T15:07:41Z,+13035550142,+13035550100,outgoing,delivered\n"
    )
    said = (
        '{"sid": "%s", "conversation_sid": "CH1", "author": "+13035550142", "body": "hi", "index": '
        '%d, "date_created": "2024-03-29T15:06:41Z", "delivery": {"failed": "none", "%s": "all"}}\n'
    )
    lines = said % ("IM1", 0, "undelivered") + said % ("IM2", 1, "sent")
    for content, suffix in ((table, ".csv"), (lines, ".jsonl")):
        parsed, _ = parse(content.encode(), suffix, SourceOptions(region="US"))
        assert [one.left_out for one in parsed] == ["messages that were never delivered", None]


def test_a_type_that_holds_directions_is_the_direction() -> None:
    """And never the channel; a word that is neither is asked."""
    header = "Customer,Phone,Type,Date,Message"
    parsed, _ = _read(
        header,
        "Ann,(212) 555-0111,Received,2024-01-31 10:00,hi",
        "Ann,(212) 555-0111,Sent,2024-01-31 10:01,yo",
        "Ann,(212) 555-0111,SMS,2024-01-31 10:02,which?",
        "Ann,(212) 555-0111,Notification,2024-01-31 10:03,who?",
    )
    assert [one.row and (one.row.type, one.row.direction) for one in parsed] == [
        ("SMS", "inbound"),
        ("SMS", "outbound"),
        ("SMS", None),  # refused by the rules of the type
        None,
    ]
    (problem,) = parsed[3].problems
    assert problem.wrong == 'is "Notification", which the mapping does not know'
    assert (
        'give --map type=COLUMN with another column than "Type", or --map type= for SMS'
        in problem.fix
    )


def test_what_was_sent_is_with_whoever_else_writes_in_its_session() -> None:
    """By the whole table; a session of several is nobody's, and one without anybody is refused.

    The way out is no name of the file, which says nothing of tables.
    """
    parsed, _ = _read(
        "Session,Date,Direction,From,Text",
        "s1,2024-01-31 10:00,Outgoing,+12125550100,sent before it was answered",
        "s1,2024-01-31 10:01,Incoming,+12125550111,hi",
        "s2,2024-01-31 10:02,Incoming,+12125550122,hi",
        "s2,2024-01-31 10:03,Incoming,+12125550133,hi",
        "s2,2024-01-31 10:04,Outgoing,,to whom?",
        "s3,2024-01-31 10:05,Outgoing,,nobody answered",
    )
    assert [one.row and one.row.contact and one.row.contact.phone for one in parsed] == [
        "+12125550111",
        "+12125550111",
        "+12125550122",
        "+12125550133",
        None,
        None,
    ]
    assert [one.wrong for one in parsed[4].problems] == ["names several people"]
    (problem,) = parsed[5].problems
    assert problem.wrong == "cannot be told: nobody else wrote"
    assert problem.fix == "give contact.phone or contact.email"


def test_of_a_mail_that_was_forwarded_to_hubspot_the_error_asks_for_the_owner() -> None:
    """It names both sides, and nobody else knows which is whose."""
    mail = (
        b'{"id":"1","properties":{"hs_timestamp":"2024-03-29T15:10:41Z","hs_email_text":"Fwd",'
        b'"hs_email_direction":"FORWARDED_EMAIL","hs_email_from_email":"kim@a.example",'
        b'"hs_email_to_email":"shop@b.example"}}'
    )
    parsed, _ = parse(mail, ".jsonl", SourceOptions(mapping_file="hubspot-emails"))
    said = " ".join(map(str, parsed[0].problems))
    assert "direction is missing: give --mine with your own" in said


def test_a_number_is_of_the_country_whose_code_has_a_column() -> None:
    """One that is none there is not taken for another country's, who would be somebody else."""
    parsed, _ = _read(
        "Country Code,Number,Direction,Date,Text",
        "44,2079460123,in,2024-01-31 10:00,hi",
        "44,2025550123,in,2024-01-31 10:01,hi",
        "44,Anonymous,in,2024-01-31 10:02,hi",
    )
    assert parsed[0].row
    assert parsed[0].row.contact == Contact(phone="+442079460123")
    assert ["+44" in str(one.problems) for one in parsed] == [False, True, False]


def test_a_session_alone_makes_no_chat_of_a_table() -> None:
    """Where no column names who wrote, what is missing is told, and no name of nobody asked for."""
    parsed, warnings = _read(
        "chat_id,date,author_id,author_email,text",
        "A1,2024-01-31 10:00,customer,kim@a.example,hi",
    )
    assert not parsed[0].problems
    assert "no column tells sent from received: give --map direction=COLUMN" in " ".join(warnings)


def test_what_a_sender_is_goes_behind_all_else_that_tells_the_direction() -> None:
    """One who is neither a customer nor of the staff for sure says nothing."""
    parsed, _ = _read(
        "Phone,Date,Type,author_type,Text",
        "+12125550111,2024-01-31 10:00,,customer,hi",
        "+12125550111,2024-01-31 10:01,,Agent,hi",
        "+12125550111,2024-01-31 10:02,SMS in,Agent,hi",
        "+12125550111,2024-01-31 10:03,,user,hi",
    )
    told = [one.row and one.row.direction for one in parsed]
    assert told == ["inbound", "outbound", "inbound", None]


def test_a_table_that_names_the_other_side_needs_no_session() -> None:
    """And is read once: what failed keeps its own columns where it has no session."""
    parsed, _ = _read(
        "Phone,Date,Direction,Text,Session",
        "+12125550111,2024-01-31 10:00,Outgoing,hi,s1",
    )
    assert parsed[0].row is not None
    assert parsed[0].row.contact == Contact(phone="+12125550111")


@pytest.mark.parametrize(
    ("column", "value", "direction"),
    [
        ("Incoming", "true", "inbound"),
        ("Incoming", "false", "outbound"),
        ("Is Outgoing", "1", "outbound"),
        ("is_from_me", "0", "inbound"),
        ("Is Outgoing", "maybe", None),
        ("Direction", "Sent Message", "outbound"),
        ("Direction", "OUTBOUND_API", "outbound"),
        ("Direction", "1", None),
        ("Folder", "inbox", "inbound"),
    ],
)
def test_words_for_directions(column: str, value: str, direction: str | None) -> None:
    """Those that have one meaning; all others are problems of their record."""
    row = f"+12125550111,{value},2024-01-31T10:00:00Z,hi"
    (one,), _ = _read(f"Phone,{column},Date,Text", row)
    assert (one.row and one.row.direction) == direction
    assert [problem.field for problem in one.problems] == ["direction"] * (direction is None)


def test_calls_with_date_and_time_apart() -> None:
    """Joined; the weekday tells the order of day and month."""
    (one, other), _ = _read(
        "Direction,Type,Phone Number,Name,Date,Time,Action,Action Result,Duration",
        "Incoming,Voice,(212) 555-0111,Ann,Fri 03/01/2024,9:05 AM,Phone Call,Accepted,0:01:05",
        "Outgoing,Fax,(212) 555-0111,Ann,Fri 03/01/2024,1:05 PM,Fax,Sent,0:00:15",
    )
    assert one.row is not None
    assert one.row.call is not None
    assert (one.row.type, one.row.direction, one.row.call.status, str(one.row.date)[:19]) == (
        "Call",
        "inbound",
        "completed",
        "2024-03-01 14:05:00",
    )
    assert [problem.field for problem in other.problems] == ["type"]


def test_a_column_that_says_utc_is_in_utc() -> None:
    """Whatever --timezone says; other columns are in that zone."""
    (one,), _ = _read(
        "line,datetime (UTC),direction,from,to,answered,missed_call_reason",
        "Sales,2024-03-29 15:06:41,inbound,12125550111,12125550100,No,no_available_agent",
    )
    assert one.row is not None
    assert one.row.call is not None
    assert (one.row.type, one.row.call.status, str(one.row.date)[:19]) == (
        "Call",
        "no-answer",
        "2024-03-29 15:06:41",
    )
    (one,), _ = _read("Phone,Direction,Date (UTC-5),Text", "+12125550111,in,2024-03-29 15:06,x")
    assert one.row is not None
    assert str(one.row.date) == "2024-03-29 20:06:00+00:00"


def test_mails_and_addresses_in_place_of_numbers() -> None:
    """A table of mails is one by its columns; a sender may be named by an address.

    Then a column says the channel: a Type that holds directions does not, nor is it guessed.
    """
    (one,), _ = _read(
        "Id,TextBody,FromAddress,ToAddress,Incoming,MessageDate",
        "02s1,hello,Ann@example.org,shop@example.com,true,2024-03-29T15:06:41.000Z",
    )
    assert one.row is not None
    assert (one.row.type, one.row.direction, one.row.contact) == (
        "Email",
        "inbound",
        Contact(email="ann@example.org"),
    )
    (one,), _ = _read(
        "Message Date,Type,Service,Sender ID,Sender Name,Text",
        "2024-03-01 09:08:06,Incoming,iMessage,ann@example.com,Ann,from my mail",
    )
    assert one.row is not None
    assert (one.row.type, one.row.contact) == ("SMS", Contact(email="ann@example.com", name="Ann"))
    (one,), _ = _read(
        "Message Date,Type,From,To,Text",
        "2024-03-01 09:08:06,Incoming,ann@example.com,shop@example.com,a mail",
    )
    assert [problem.field for problem in one.problems] == ["type"]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ("13035550142-1600000000@g.us", "is a group, and no person"),
        ("status@broadcast", "is a group, and no person"),
        ("u+abc_def@rcs.google.com", "is an id of a messenger, and no telephone number"),
    ],
)
def test_an_id_of_a_messenger_is_no_address(given: str, wrong: str) -> None:
    """Nobody has it, and a group became a contact with it as its address."""
    (one,), _ = _read("Phone,Direction,Date,Text", f"{given},in,2024-03-29T15:06:41Z,x")
    assert [(problem.field, problem.wrong) for problem in one.problems] == [
        ("contact.phone", wrong)
    ]


def test_a_chat_named_by_an_id_of_a_messenger_is_with_its_number() -> None:
    """Whoever wrote, and if nobody else did; and one of a group is with nobody."""
    columns = "chat,timestamp,direction,type,sender,body"
    chat, group = "13035550142@s.whatsapp.net", "12036304@g.us"
    rows = (
        f"{chat},1709301906,incoming,whatsapp,{chat},a",
        f"{chat},1709301966,outgoing,whatsapp,,b",
        "13035550143@c.us,1709301986,outgoing,whatsapp,,c",
        f"{group},1709301996,outgoing,whatsapp,,d",
    )
    read, _ = _read(columns, *rows)
    contacts = [one.row and one.row.contact for one in read]
    numbers = [contact and contact.phone for contact in contacts]
    assert numbers == ["+13035550142", "+13035550142", "+13035550143", None]
    assert [problem.wrong for problem in read[3].problems] == ["is a group, and no person"]


def test_no_id_of_another_system_is_sent() -> None:
    """By generic never; from tables and JSON not beside names that LeadConnector has not."""
    parsed, warnings = _read(
        "id,conversationId,body,sentAt,from,direction,locationId",
        "AC1,CN1,hi,2024-03-29T15:06:41Z,+12125550111,incoming,LO1",
    )
    assert parsed[0].row is not None
    assert (parsed[0].row.conversation_id, parsed[0].row.location_id) == (None, None)
    assert len([one for one in warnings if "--map conversationId=conversationId" in one]) == 1
    for content, suffix, notices in (
        (FOREIGN.replace(b"type", b"contact.phone,type") + b"+12125550100," + ROW, ".csv", 0),
        (JSON.replace(b"{", b'{"contact":{"phone":"+12125550100"},'), ".jsonl", 3),
    ):
        (one,), warnings = parse(content, suffix, SourceOptions())
        assert one.row is not None
        assert {one.row.contact_id, one.row.conversation_id, one.row.location_id} == {None}
        assert len(one.notices) == notices
        assert len([said for said in warnings if "another system" in said]) == 3 - notices


@pytest.mark.parametrize(
    ("content", "suffix", "options"),
    [
        (FOREIGN + ROW, ".csv", SourceOptions()),
        (FOREIGN + ROW, ".csv", SourceOptions(mapping_file="generic")),
        (JSON, ".jsonl", SourceOptions()),
    ],
)
def test_a_record_known_by_another_systems_ids_alone_says_so(
    content: bytes, suffix: str, options: SourceOptions
) -> None:
    """Not that it has none, which whoever looks at it sees: the reason names the way out."""
    (one,), _ = parse(content.replace(b"+12125550100", b""), suffix, options)
    named = {one.field: one.fix for one in one.problems}
    assert list(named) == ["conversationId", "contactId"]
    assert "--map contactId=contactId" in named["contactId"]
    (one,), _ = parse(JSON.replace(b'"type":"SMS",', b"").replace(b"from", b"call.from"), ".jsonl")
    assert ([one.field for one in one.problems], one.notices) == (["type"], ())


def test_ids_are_ours_where_the_table_is_or_the_user_says_so() -> None:
    """A note of one's own changes nothing; --map may name an id, or switch it off."""
    plain = FOREIGN.replace(b"from", b"note") + ROW
    (one,), _ = parse(plain, ".csv", SourceOptions())
    assert one.row is not None
    assert (one.row.contact_id, one.row.location_id) == ("CT1", "LO1")
    mapping = {"contactId": "contactId"}
    (one,), _ = parse(FOREIGN + ROW, ".csv", SourceOptions(mapping=mapping))
    assert one.row is not None
    assert (one.row.contact_id, one.row.conversation_id) == ("CT1", None)
    off = {"conversationId": "", "locationId": ""}
    (one,), _ = parse(plain, ".csv", SourceOptions(mapping=off))
    assert one.row is not None
    assert (one.row.contact_id, one.row.conversation_id, one.row.location_id) == ("CT1", None, None)


def test_numbers_that_a_spreadsheet_made_floats() -> None:
    """Are whole again; marks and space that nobody sees are no part of a value."""
    (one,), _ = _read(
        "id,Phone,Direction,Date,Text",
        "7.0,\u202a12125550142.0\u202c,\u00a0inbound,\u200e2024-01-31T10:00:00Z, 1.0 ",
    )
    assert one.row is not None
    assert (one.row.id, one.row.direction, one.row.message) == ("7", "inbound", " 1.0 ")
    assert one.row.contact == Contact(phone="+12125550142")
    (one,), _ = _read("Phone,Direction,Date,Text", "1.2E+10,in,2024-01-31T10:00:00Z,x")
    assert [problem.field for problem in one.problems] == ["contact.phone"]


def test_one_s_own_number_is_not_the_contact_of_a_table_that_names_the_other_otherwise() -> None:
    """Beside a number, one in the place of a name is asked about, or known by --mine."""
    header = "Number,Customer,Direction,Date,Text"
    row = "+12125550100,+12125550111,in,2024-01-31T10:00:00Z,hi"
    (one,), _ = _read(header, row)
    assert [problem.field for problem in one.problems] == ["contact.phone"]
    assert "--map contact.phone=COLUMN" in one.problems[0].fix
    for options in ({"mine": ("+12125550100",)}, {"mapping": {"contact.phone": "Customer"}}):
        (one,), _ = _read(header, row, **options)
        assert one.row is not None
        assert one.row.contact == Contact(phone="+12125550111")
    for name in ("12125550100", "10023456", "Ann"):
        (one,), _ = _read(header, row.replace("+12125550111", name))
        assert one.row is not None
        assert one.row.contact is not None
        assert one.row.contact.phone == "+12125550100"


@pytest.mark.parametrize(
    "header", ["Contact Name,Contact,Number", "Participant Name,Participant,Phone Number"]
)
def test_nor_where_the_other_side_has_a_name_as_well(header: str) -> None:
    """Then its number stood in a column that was passed over, and all were with the owner's."""
    header, row = f"{header},Direction,Date,Text", "Kim,(212) 555-0111,+12125550100,in,{},hi"
    row = row.format("2024-01-31T10:00:00Z")
    (one,), _ = _read(header, row)
    assert [problem.wrong[:30] for problem in one.problems] == ["is another number than that in"]
    (one,), _ = _read(header, row, mine=("+12125550100",))  # type: ignore[arg-type]
    assert one.row is not None
    assert one.row.contact == Contact(phone="+12125550111", name="Kim")
    number = {"contact.phone": header.split(",")[2]}
    for given, phone in ((row, "+12125550100"), (row.replace("0111", "0100"), "+12125550100")):
        mapping = number if given == row else {}
        (one,), _ = _read(header, given, mapping=mapping)  # type: ignore[arg-type]
        assert one.row is not None
        assert one.row.contact == Contact(phone=phone, name="Kim")


@pytest.mark.parametrize("customer", ["4711234", "301234567"])
def test_the_number_of_a_customer_is_none_of_a_telephone(customer: str) -> None:
    """In many countries any seven figures are one: the whole table was refused."""
    row = f"{customer},Kim,030 123456,eingehend,2024-01-31T10:00:00Z,hi"
    (one,), _ = _read("Kunde,Name,Telefon,Richtung,Datum,Text", row, region="DE")
    assert one.row is not None
    assert one.row.contact == Contact(phone="+4930123456", name="Kim")


def test_an_address_beside_two_numbers_is_nobodys() -> None:
    """It is often the agent's: all customers would be one. The table, or --map, says whose."""
    header = "Name,Email,From,To,Direction,Date,Text"
    row = "Ann,ann@shop.example,+12125550111,+12125550100,in,2024-01-31T10:00:00Z,hi"
    (one,), _ = _read(header, row)
    assert one.row is not None
    assert one.row.contact == Contact(phone="+12125550111")
    assert [said[:19] for said in one.notices] == ["names and addresses"]
    whole = Contact(phone="+12125550111", email="ann@shop.example", name="Ann")
    told: tuple[tuple[str, dict[str, str]], ...] = (
        (header, {"contact.email": "Email"}),
        (header.replace("From", "Phone"), {}),
        (header.replace("To", "Line"), {}),
    )
    for names, mapping in told:
        (one,), _ = _read(names, row, mapping=mapping)  # type: ignore[arg-type]
        assert one.row is not None
        assert (one.row.contact, one.notices) == (whole, ())
    (one,), _ = _read(header.replace("Email", "Customer Email"), row)  # says whose it is
    assert one.row is not None
    assert one.row.contact == Contact(phone="+12125550111", email="ann@shop.example", name="Ann")
    (one,), _ = _read(header.replace("From,To", "External Number,Internal Number"), row)
    assert one.row is not None
    assert one.row.contact == Contact(phone="+12125550111")


def test_notes_are_no_message_where_there_is_a_column_of_messages() -> None:
    """What is written about a customer is not sent as if it had been written to them."""
    rest = "+12125550111,in,2024-01-31T10:00:00Z"
    (one,), warnings = _read("Phone,Direction,Date,Text,Notes", f"{rest},,pays late")
    assert one.row is not None
    assert one.row.message is None
    assert 'column "Notes" is not sent' in warnings
    (one,), warnings = _read("Phone,Call Direction,Date,Notes", f"{rest},asked for hours")
    assert one.row is not None
    assert (one.row.type, one.row.message, warnings) == ("Call", "asked for hours", [])


def test_a_channel_that_says_how_a_call_ended_is_its_status() -> None:
    """As a column of types does; the channel of a text says nothing of that."""
    for channel, status in {"Voicemail": "voicemail", "Missed call": "no-answer"}.items():
        cells = f"+12125550111,in,2024-01-31T10:00:00Z,{channel}"
        (one,), _ = _read("Phone,Direction,Date,Channel", cells)
        assert one.row is not None
        assert one.row.type == "Call"
        assert one.row.call is not None
        assert one.row.call.status == status
    (one,), _ = _read("Phone,Direction,Date,Channel,Text", "+12125550111,in,2024-01-31Z,SMS,hi")
    assert one.row is None or one.row.call is None


def test_what_only_calls_have_makes_a_table_one_of_calls() -> None:
    """A missed one came in; what was blocked never arrived."""
    (one,), _ = _read(
        "Phone,Direction,Start Time,Call Status", "+12125550111,Missed,2024-01-31T10:00:00Z,missed"
    )
    assert one.row is not None
    assert (one.row.type, one.row.direction) == ("Call", "inbound")
    header = "Phone,Direction,Date,Text,Status"
    (one,), _ = _read(header, "+12125550111,out,2024-01-31T10:00:00Z,hi,Blocked by carrier")
    assert one.left_out == "messages that were never delivered"


@pytest.mark.parametrize(
    ("status", "left_out"),
    [
        ("Carrier rejected", "messages that were never delivered"),
        ("SMS failed", "messages that were never delivered"),
        ("Hard bounce", "messages that were never delivered"),
        ("Message not sent", "messages that were never delivered"),
        ("Fail", "messages that were never delivered"),
        ("Unable to deliver", "messages that were never delivered"),
        ("Sent (not delivered)", "messages that were never delivered"),
        ("CARRIER_UNREACHABLE", "messages that were never delivered"),
        ("Sent, failed over to SMS", None),
        ("Failed MMS, delivered as SMS", None),
        ("Failed to deliver", "messages that were never delivered"),
        ("Failed - could not be sent via SMS", "messages that were never delivered"),
        ("Failed: not delivered by carrier", "messages that were never delivered"),
        ("Error: none", None),
        ("Error code: 0", None),
        ("error_code_7", "messages that were never delivered"),
        ("Zustellung fehlgeschlagen", "messages that were never delivered"),
        ("Pendiente", "messages that were not sent"),
        ("Failover to SMS unable, delivered", None),
        ("ERR_30006", "messages that were never delivered"),
        ("Cancelled by user", "messages that were not sent"),
        ("Delivered, first attempt failed", None),
        ("Delivered to handset", None),
        ("Message was rejected by the carrier", "messages that were never delivered"),
        ("RCS failed, sent as SMS", None),
        ("Received, auto-reply not sent", None),
        ("Payment failed", None),
        ("ROUTING_ERROR", "messages that were never delivered"),
        ("CARRIER_BLOCKED", "messages that were never delivered"),
        ("no_route", "messages that were never delivered"),
        ("time_out", "messages that were never delivered"),
        ("Insufficient credit", "messages that were never delivered"),
        ("Permanent failure", "messages that were never delivered"),
        ("ESME_RSUBMITFAIL", "messages that were never delivered"),
        ("ESME_ROK", None),
        ("CANCELLED_USER", "messages that were not sent"),
        ("WaitApproval", "messages that were not sent"),
        ("In Queue", "messages that were not sent"),
        ("Cancelled appointment", None),
        ("Application rejected", None),
        ("Contract expired", None),
        ("ERR_000", None),
    ],
)
def test_what_never_arrived_is_told_by_any_word_of_its_status(
    status: str, left_out: str | None
) -> None:
    """After words of its way; a state of something else says nothing of the message."""
    header = "Phone,Direction,Date,Text,Status"
    (one,), _ = _read(header, f'+12125550111,out,2024-01-31T10:00:00Z,hi,"{status}"')
    assert one.left_out == left_out


@pytest.mark.parametrize(
    ("label", "is_left_out"),
    [
        ("Trash", True),
        ("Inbox, Trash", True),
        ("[Gmail]/Spam", True),
        ("Inbox;Draft", True),
        (r"\\shop\Deleted Items", True),
        ("Trash/Receipts", True),
        ("Inbox/Spam questions", False),
        ("cabin", False),
    ],
)
def test_what_is_in_the_trash_is_told_by_any_of_its_labels(label: str, is_left_out: bool) -> None:  # noqa: FBT001
    """Or by a folder on the way to it; a longer name is another one."""
    header = "Phone,Direction,Date,Text,Labels"
    (one,), _ = _read(header, f'+12125550111,in,2024-01-31T10:00:00Z,hi,"{label}"')
    assert (one.left_out is not None) == is_left_out


def test_true_and_false_are_read_as_postgresql_writes_them() -> None:
    """And what is not there is no attachment."""
    parsed, _ = _read(
        "phone,is_outgoing,body,created_at,media_url",
        r"+12125550111,f,hi,2024-01-31T10:00:00Z,\N",
        "+12125550111,t,ho,2024-01-31T10:00:00Z,https://x.example/a.jpg",
    )
    rows = [one.row for one in parsed if one.row]
    assert [row.direction for row in rows] == ["inbound", "outbound"]
    assert [bool(row.attachments) for row in rows] == [False, True]


def test_the_remote_number_is_the_others_whatever_the_source() -> None:
    """A column Source may say where a message came from, and no number."""
    parsed, _ = _read(
        "direction,text,local_phone,remote_phone,date_created,source",
        "inbound,hi,+12125550100,+12125550111,2024-01-31T10:00:00Z,External",
        "outbound,ho,+12125550100,+12125550111,2024-01-31T10:01:00Z,Close.io",
    )
    contacts = [one.row and one.row.contact and one.row.contact.phone for one in parsed]
    assert contacts == ["+12125550111"] * 2


def test_where_a_call_came_from_is_no_channel() -> None:
    """Nor is the type of a chat lost because of the name of its column."""
    (one,), _ = _read(
        "Call Status,Phone,Start Time,Source,Direction",
        "Answered Call,+12125550111,2024-01-31T10:00:00Z,Facebook,in",
    )
    assert one.row is not None
    assert (one.row.type, one.row.call and one.row.call.status) == ("Call", "answered")
    (one,), _ = _read(
        "Phone,Direction,Date,Text,Conversation Channel",
        "+12125550111,in,2024-01-31T10:00:00Z,hi,WhatsApp - Shop",
    )
    assert one.row is not None
    assert one.row.type == "WhatsApp"


@pytest.mark.parametrize(
    "header", ["From,From Phone,To,To Phone", "Sender,Sender Number,Recipient,Recipient Number"]
)
def test_a_name_beside_the_number_of_its_side_is_no_number(header: str) -> None:
    """The number has a column of its own there."""
    parsed, _ = _read(
        f"{header},Direction,Text,Date",
        "Ann,+12125550111,Shop,+12125550100,in,hi,2024-01-31T10:00:00Z",
        "Shop,+12125550100,Ann,+12125550111,out,ho,2024-01-31T10:01:00Z",
    )
    contacts = [one.row and one.row.contact and one.row.contact.phone for one in parsed]
    assert contacts == ["+12125550111"] * 2


def test_helpdesks_tell_the_side_by_a_flag_and_the_type_of_a_text() -> None:
    """As Gorgias and Zoho do; what a visitor is called is the contact's."""
    parsed, _ = _read(
        "Channel,From agent,Sender email,Receiver email,Subject,Body,Date",
        "email,false,ann@client.example,help@shop.example,Hours,hi,2024-01-31T10:00:00Z",
        "email,true,help@shop.example,ann@client.example,Hours,ho,2024-01-31T10:01:00Z",
    )
    rows = [one.row for one in parsed if one.row]
    assert [row.direction for row in rows] == ["inbound", "outbound"]
    assert [row.contact and row.contact.email for row in rows] == ["ann@client.example"] * 2
    (one,), _ = _read(
        "Visitor Phone,Visitor Name,SMS Type,Text,Date",
        "+12125550111,Ann,Incoming,hi,2024-01-31T10:00:00Z",
    )
    assert one.row is not None
    assert one.row.contact == Contact(phone="+12125550111", name="Ann")
    assert one.row.direction == "inbound"


@pytest.mark.parametrize(
    ("column", "value", "left_out"),
    [
        ("Failed At", "2024-01-31T10:00:05Z", "messages that were never delivered"),
        ("Failed At", "", None),
        ("Bounced", "1", "messages that were never delivered"),
        ("Bounced", "0", None),
        ("status_text", "Failed: Message delivery failed", "messages that were never delivered"),
        ("Status", "outbox", "messages that were not sent"),
        ("Thread Status", "draft", "messages that were not sent"),
        ("Thread Status", "pending", None),
        ("Thread Status", "expired", None),
        ("Thread Type", "note", "internal notes"),
        ("Message Type", "private_note", "internal notes"),
        ("Message Type", "InternalComment", "internal notes"),
        ("Message Type", "Whisper", "internal notes"),
        ("Error Code", "30003", "messages that were never delivered"),
        ("Error Code", "000", None),
        ("Failure Reason", "Carrier rejected", "messages that were never delivered"),
        ("Failure Reason", "None", None),
        ("Event", "Message failed", "messages that were never delivered"),
        ("Event", "sms.scheduled", "messages that were not sent"),
        ("Event", "Note added", "internal notes"),
        ("Event", "Message sent", None),
        ("Part Type", "note_and_reopen", "internal notes"),
        ("Part Type", "comment", None),
    ],
)
def test_helpdesks_and_gateways_tell_by_their_own_columns_what_was_no_message(
    column: str, value: str, left_out: str | None
) -> None:
    """A time, a flag, the words of a state and the type of an entry."""
    row = f"+12125550111,out,2024-01-31T10:00:00Z,hi,{value}"
    (one,), _ = _read(f"Phone,Direction,Date,Text,{column}", row)
    assert (one.left_out, one.problems) == (left_out, ())


def test_what_failed_first_and_was_delivered_then_is_a_message() -> None:
    """Both times stand there, or a state that says so beside the error."""
    header = "Phone,Direction,Date,Text,Delivered At,Failed At,Status,Error Code"
    at = "2024-01-31T10:00:00Z"
    parsed, _ = _read(
        header,
        f"+12125550111,out,{at},hi,{at},{at},,",
        f"+12125550111,out,{at},hi,,,Delivered,30003",
    )
    assert all(one.row for one in parsed)
    for column, value in (("State", "delivered"), ("DLR", "DELIVRD"), ("Is Delivered", "yes")):
        row = f"+12125550111,out,{at},hi,{value},30003"
        (one,), _ = _read(f"Phone,Direction,Date,Text,{column},Error Code", row)
        assert one.row


def test_what_was_scheduled_and_not_sent_is_no_message() -> None:
    """It was sent with the time at which it was written; one that has a date of its own is one."""
    written, at = "2024-01-31T10:00:00Z", "2024-02-01T10:00:00Z"
    parsed, _ = _read(
        "Phone,Direction,Created At,Scheduled At,Sent At,Text",
        f"+12125550111,out,{written},{at},{at},hi",
        f"+12125550111,out,{written},{at},,ho",
        f"+12125550111,in,{written},,,yes",
    )
    not_sent = "messages that were not sent"
    assert [one.left_out for one in parsed] == [None, not_sent, None]
    line = (
        b'{"phone":"+12125550111","direction":"out","text":"hi",'
        b'"timestamp":"2024-02-01T10:00:00Z","scheduledAt":"2024-02-01T10:00:00Z"}\n'
    )
    (one,), _ = parse(line, ".jsonl", OPTIONS)
    assert one.row is not None


def test_the_state_of_a_message_may_be_an_object() -> None:
    """What never arrived was sent, since no text stood in ``status``."""
    shared = '"direction":"out","to":"+12125550111","text":"hi","sentAt":"2024-01-31T10:00:00Z"'
    states = (
        '{"groupId":3,"groupName":"DELIVERED","name":"DELIVERED_TO_HANDSET"}',
        '{"groupId":2,"groupName":"UNDELIVERABLE","name":"UNDELIVERABLE_NOT_DELIVERED"}',
        '{"groupId":1,"groupName":"PENDING","name":"PENDING_WAITING_DELIVERY"}',
        '{"statusType":"FAILED"}',
    )
    lines = "".join(f'{{{shared},"status":{state}}}\n' for state in states)
    parsed, _ = parse(lines.encode(), ".jsonl", OPTIONS)
    assert [one.left_out for one in parsed] == [
        None,
        "messages that were never delivered",
        "messages that were not sent",
        "messages that were never delivered",
    ]


@pytest.mark.parametrize(
    ("header", "row", "is_left_out"),
    [
        ("Type,Status,Duration", "Call,Planned,15", True),
        ("Type,Status,Duration", "Call,Not Held,15", True),
        ("Type,Status,Duration", "Call,Held,15", False),
        ("Type,Status,Duration", "SMS,Planned,", False),
        ("Call Type,Outgoing Call Status,Call Duration", "Outbound,Scheduled,0", True),
        ("Call Type,Outgoing Call Status,Call Duration", "Outbound,Completed,90", False),
        ("Call Type,Call Status,Call Duration", "Outbound,Scheduled,90", False),
    ],
)
def test_a_call_that_was_planned_alone_is_left_out(
    header: str,
    row: str,
    is_left_out: bool,  # noqa: FBT001
) -> None:
    """One that took time was made, whatever was scheduled in it."""
    (one,), _ = _read(f"Phone,Direction,Date,{header}", f"+12125550111,out,2024-01-31T10:00Z,{row}")
    planned = "calls that were planned, and not made"
    assert one.left_out == (planned if is_left_out else None)


def test_a_type_that_says_how_a_call_ended_is_one_of_calls() -> None:
    """A word that may be of a chat or a ticket, such as Answered, is not."""
    rows = (
        f"+12125550111,in,2024-01-31T10:00Z,{word}"
        for word in ("Answered Call", "Unanswered call", "Answered")
    )
    parsed, _ = _read("Phone,Direction,Date,Type", *rows)
    calls = [one.row and one.row.call and one.row.call.status for one in parsed]
    assert calls == ["answered", "no-answer", None]
    assert [problem.field for problem in parsed[2].problems] == ["type"]


def test_a_text_that_the_other_system_holds_back_is_no_message() -> None:
    """What stands there in its place was sent."""
    (one,), _ = _read(
        "Phone,Direction,Date,Text",
        "+12125550111,in,2024-01-31T10:00:00Z,* Body is hidden for privacy reasons *",
    )
    assert one.left_out == "messages whose text the other system holds back"


def test_an_inbox_that_is_named_as_a_channel_says_the_channel() -> None:
    """Its messages became SMS."""
    rows = (f"+12125550111,in,2024-01-31T10:00:00Z,hi,{name}" for name in ("WhatsApp", "Sales"))
    parsed, _ = _read("Phone,Direction,Date,Text,Inbox", *rows)
    assert [one.row and one.row.type for one in parsed] == ["WhatsApp", "SMS"]


def test_a_text_with_a_duration_of_nothing_is_no_call() -> None:
    """Texts among calls became calls, which outbound have no text; notes are those of a call."""
    at, text = "2024-01-31T10:00Z", ("type",)
    parsed, _ = _read(
        "Phone,Direction,Date,Text,Call Duration,Call Status",
        f"+12125550111,out,{at},hi,0,",
        f"+12125550111,out,{at},hi,00:00:00,",
        f"+12125550111,in,{at},rang,0,Missed",
        f"+12125550111,in,{at},spoke,72,",
    )
    assert [tuple(problem.field for problem in one.problems) for one in parsed] == [
        text,
        text,
        (),
        (),
    ]
    (one,), _ = _read("Phone,Direction,Date,Notes,Call Duration", f"+12125550111,in,{at},rang,0")
    assert one.row is not None
    assert one.row.type == "Call"


def test_files_that_are_objects_are_named_by_their_key() -> None:
    """Nobody writes a whole export anew; the reason says how the key is named."""
    line = (
        b'{"phone":"+12125550111","direction":"in","text":"hi","date":"2024-01-31T10:00Z",'
        b'"attachments":[{"name":"a.jpg","link":"https://x.example/a.jpg"}]}\n'
    )
    (one,), _ = parse(line, ".jsonl", OPTIONS)
    (problem,) = one.problems
    assert problem.wrong == "item 1 is an object"
    assert "--map attachments=attachments[*].link" in problem.fix
    named = {"attachments": "attachments[*].link"}
    (one,), _ = parse(line, ".jsonl", SourceOptions(mapping_file="generic", mapping=named))
    assert one.row is not None
    assert one.row.attachments == ["https://x.example/a.jpg"]


def test_a_message_among_calls_is_none_by_what_calls_have() -> None:
    """A call that failed is kept; a message with a duration of 0 was too."""
    at = "2024-01-31T10:00Z"
    parsed, _ = _read(
        "Type,Phone,Direction,Date,Text,Status,Call Duration,Call ID,Missed",
        f"SMS,+12125550111,out,{at},lost,Failed,0,7,No",
        f"Text,+12125550111,out,{at},later,Queued,0,,",
        f"SMS,+12125550111,out,{at},hi,Delivered,0,8,No",
        f"Call,+12125550111,out,{at},,Failed,0,9,No",
    )
    never, not_sent = "messages that were never delivered", "messages that were not sent"
    assert [one.left_out for one in parsed] == [never, not_sent, None, None]
    assert [one.row and one.row.type for one in parsed] == [None, None, "SMS", "Call"]
