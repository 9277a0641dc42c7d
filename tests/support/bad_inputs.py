"""Files with something wrong in them, beside good records that must come through.

A good record is an SMS of contact ``c1``, with direction, date with offset, and message: every
rule of its type is kept. So a run over a file here sends its good records, each once, and says
what `BadInput.says` holds about the one that is wrong.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from leadconnector_async.sources import Parsed, SourceOptions, open_source

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY: Final = "the text of a message"
"""Stands in texts of the bad records. No problem may repeat it."""


class BadInput(NamedTuple):
    """A file, and what has to be said about it."""

    name: str
    suffix: str
    content: bytes
    says: tuple[str, ...]
    line: int
    """Of the record at fault; 0 where the whole file is refused."""
    good: int
    """How many records beside it are good."""
    options: SourceOptions = SourceOptions()


def parse(
    content: bytes, suffix: str, options: SourceOptions | None = None
) -> tuple[list[Parsed], list[str]]:
    """Read a file of this content; give its records and the warnings.

    A date is beside the point of most, so that none needs one.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"history{suffix}")
        path.write_bytes(content)
        with open_source(str(path), options or SourceOptions(undated="now")) as source:
            return list(source), source.warnings


def record(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON holds
    """Make a good record, with other fields or other values."""
    good = {
        "type": "SMS",
        "contactId": "c1",
        "direction": "inbound",
        "date": "2024-01-31T09:30:00Z",
        "message": BODY,
    }
    return good | fields


def jsonl(*records: dict[str, Any] | bytes) -> bytes:
    """Write lines; bytes are lines as they stand."""
    lines = (r if isinstance(r, bytes) else json.dumps(r).encode() for r in records)
    return b"".join(line + b"\n" for line in lines)


_BEFORE: Final = record(message="good one")
_AFTER: Final = record(message="good two", direction="outbound")

HEADER: Final = b"type,contactId,direction,date,message\n"
ROW_BEFORE: Final = b"SMS,c1,inbound,2024-01-31T09:30:00Z,good one\n"
ROW_AFTER: Final = b"SMS,c1,outbound,2024-01-31T09:31:00Z,good two\n"


def _line(name: str, bad: dict[str, Any] | bytes, *says: str, **options: Any) -> BadInput:  # noqa: ANN401
    content = jsonl(_BEFORE, bad, _AFTER)
    return BadInput(name, ".jsonl", content, says, 2, 2, SourceOptions(**options))


def _field(name: str, field: str, value: object, *says: str) -> BadInput:
    return _line(name, record(**{field: value}), field, *says)


def _row(name: str, bad: bytes, *says: str, good: int = 2, **options: Any) -> BadInput:  # noqa: ANN401
    content = HEADER + ROW_BEFORE + bad + b"\n" + ROW_AFTER
    return BadInput(name, ".csv", content, says, 3, good, SourceOptions(**options))


def _cell(name: str, field: str, value: bytes, *says: str) -> BadInput:
    cells = [b"SMS", b"c1", b"inbound", b"2024-01-31T09:30:00Z", BODY.encode()]
    cells[HEADER.decode().strip().split(",").index(field)] = value
    return _row(name, b",".join(cells), field, *says)


def _file(name: str, suffix: str, content: bytes, *says: str, **options: Any) -> BadInput:  # noqa: ANN401
    return BadInput(name, suffix, content, says, 0, 0, SourceOptions(**options))


def _lines() -> Iterator[BadInput]:
    whole = json.dumps(record()).encode()
    yield _line("broken JSON", whole.replace(b'"c1"', b'"c1'), "line is no JSON", "one JSON object")
    yield _line("comma before the brace", whole[:-1] + b",}", "line is no JSON", "trailing comma")
    yield _line("Python instead of JSON", whole.replace(b'"', b"'"), "line is no JSON")
    yield _line("two objects in a line", whole + whole, "line is no JSON")
    yield _line("not a number", whole[:-1] + b',"note":NaN}', "line is no JSON")
    yield _line("raw control character", whole.replace(b"text", b"te\txt"), "control character")
    yield _line("a list", b'["SMS","c1"]', "line is a list", "one JSON object")
    yield _line("a text", b'"SMS"', "line is text", "one JSON object")
    yield _line("a number", b"42", "line is a number", "one JSON object")
    yield _line("null", b"null", "line is null", "one JSON object")
    yield _line("nested too deeply", b'{"type":"SMS","call":{"x":' + b"[" * 5000, "line is no JSON")
    yield _line("raw NUL byte", whole.replace(b"text", b"te\0xt"), "line is no JSON")
    yield _line("invalid UTF-8", whole.replace(b"text", b"t\xe9xt"), "UTF-8", "0xE9", "--encoding")
    yield _line(
        "10 MB line",
        record(message="x" * 10_000_000),
        "is 10000105 bytes long",
        "limit of 4194304",
        "shorten",
    )
    yield _line("snake case", record(contact_id="c2", contactId=None), "contactId", '"contact_id"')
    yield _line(
        "unmended failed line",
        {"error": "h:9: no JSON", "outboxKey": "k1", "line": 9, "raw": '{"type":"SMS"'},
        "raw is no JSON",
        "mend it",
    )
    cut = jsonl(_BEFORE, _AFTER) + b'{"type":"SMS","mess'
    yield BadInput("last line cut short", ".jsonl", cut, ("unexpected end of data",), 3, 2)


def _fields() -> Iterator[BadInput]:
    yield _field("type in lower case", "type", "sms", 'is "sms"', 'write "SMS"')
    yield _field("type with a space", "type", "Live Chat", 'write "Live_Chat"')
    yield _field("type of another system", "type", "Telegram", '"Telegram"', "one of SMS, Email")
    yield _field("type missing", "type", None, "is missing", "one of SMS, Email")
    yield _field("type as number", "type", 1, "is a number", "double quotes")
    yield _field("message as number", "message", 5, "is a number", "double quotes")
    yield _field("message as list", "message", [BODY], "is a list", "double quotes")
    yield _line("html as boolean", record(html=True), "html is true or false", "quotes")
    yield _field("subject as object", "subject", {"a": BODY}, "is an object", "double quotes")
    yield _field("contact as number", "contactId", 123, "is a number", "double quotes")
    yield _field("NUL in a text", "message", BODY + "\0", "NUL character at position 22", "remove")
    yield _field("date without offset", "date", "2024-01-31T09:30:00", "offset", "--timezone")
    yield _field("date in no unit", "date", 170669340012, "is a number", "ISO 8601")
    yield _field("date of a Mac or of Unix", "date", "730976706", "2024-03-01", "--date-format")
    yield _field("date that is two", "date", "01/02/2024 9:30 AM", "1 February", "--date-format")
    yield _field("date that is text", "date", BODY, "21 characters", "--date-format")
    yield _field("February 30", "date", "2024-02-30T09:30:00Z", "2024-02-30", "no date")
    yield _field("before the calendar", "date", "0001-01-01T00:00:00+14:00", "outside the calendar")
    yield _field("direction in other words", "direction", "incoming", '"incoming"', "inbound")
    yield _field("direction that is text", "direction", BODY, "text of 21 characters", "inbound")
    yield _field("attachments as text", "attachments", "https://a/b", "is text", "write a list")
    yield _field("attachment as number", "attachments", ["https://a/b", 7], "item 2 is a number")
    yield _field("null in a list", "emailCc", [None], "item 1 is null", "double quotes")
    yield _field("call as text", "call", "+15550100", "is text", "write an object")
    yield _line("call.to as number", record(call={"to": 15550100}), "call.to is a number", "quotes")
    call = {"status": "no_answer"}
    yield _line("call.status misspelt", record(call=call), "call.status", 'write "no-answer"')


def _rows() -> Iterator[BadInput]:
    yield _row("too few cells", b"SMS,c1,inbound", "row has 3 cells", "header has 5")
    text = BODY.encode()
    yield _row("comma in a bare cell", b"SMS,c1,inbound,2024-01-31T09:30:00Z,a, b", "has 6 cells")
    yield _row("quote never closed", b'SMS,c1,inbound,,"' + text, "quote in line 3", "close it")
    yield _row("text after a quote", b'SMS,c1,inbound,,"a" ' + text, "quote in line 3", '("")')
    yield _row("bare carriage return", b"SMS,c1,inbound,,a\rb", "carriage return", "quotes")
    yield _row("NUL byte", b"SMS,c1,inbound,2024-01-31T09:30:00Z,a\0", "message has a NUL")
    yield _row("10 MB cell", b"SMS,c1,inbound,," + b"x" * 10_000_000, "is 10000016 bytes long")
    yield _row(
        "not UTF-8", b"SMS,c1,inbound,,caf\xe9", "UTF-8", "0xE9 at position 20", "--encoding"
    )
    yield _row("not ASCII", b"SMS,c1,inbound,,caf\xc3\xa9", "ASCII (position 20)", encoding="ascii")
    yield _cell("type in capitals", "type", b"EMAIL", 'is "EMAIL"', 'write "Email"')
    yield _cell("empty type", "type", b"", "is missing", "one of SMS, Email")
    yield _cell("local date", "date", b"2024-01-31 09:30", "offset", "--timezone")
    yield _cell("13th month", "date", b"2024-13-01T00:00:00Z", "2024-13-01", "no date")
    yield _cell("direction of other systems", "direction", b"outgoing", '"outgoing"', "outbound")
    wide = (HEADER + ROW_BEFORE).decode().encode("utf-16") + b"S\0M\0\x00\xdcS\0\n\0"
    wide += ROW_AFTER.decode().encode("utf-16-le")
    yield BadInput("broken UTF-16", ".csv", wide, ("UTF-16-LE (position 3)", "UTF-8"), 3, 2)


def _files() -> Iterator[BadInput]:
    yield _file("empty JSON Lines", ".jsonl", b"", "is empty", "with records")
    yield _file("empty CSV", ".csv", b"", "is empty", "with records")
    yield _file("nothing but blank lines", ".csv", b"\n\r\n \n", "is empty")
    cut = gzip.compress(b"", mtime=0)[:-9]
    yield _file("gzip cut before any record", ".jsonl.gz", cut, "file is cut short", "gzip")
    cut = gzip.compress(HEADER[:-1], mtime=0)[:-8]
    yield _file("gzip cut in the header", ".csv.gz", cut, "file is cut short", "gzip")
    yield _file("empty gzip", ".jsonl.gz", gzip.compress(b""), "is empty")
    lists = json.dumps({"sent": [_BEFORE], "received": [_AFTER]}, indent=1).encode()
    yield _file("two lists of records", ".json", lists, "sent[*], received[*]", "records = ")
    double = b"type,message,date,message,date\n"
    yield _file("duplicate columns", ".csv", double, "line 1", '"date", "message"', "rename")
    yield _file("no type column", ".csv", b"contactId,message\n", "line 1", '"type"', "--map type=")
    yield _file("no header", ".csv", ROW_BEFORE, "line 1", "put a header above it")
    spelled = b"type,Contact ID\n"
    yield _file("spelt header", ".csv", spelled, '"Contact ID"', '--map "contactId=Contact ID"')
    no_column = {"message": "body"}
    yield _file("map to no column", ".csv", HEADER, "message=body", '"date"', mapping=no_column)
    no_field = {"Mesage": "message"}
    yield _file("map of no field", ".csv", HEADER, "Mesage=", "write message", mapping=no_field)
    yield _file("no such encoding", ".csv", HEADER, "--encoding latin9000", encoding="latin9000")
    yield _file("no text encoding", ".csv", HEADER, "--encoding hex", "cp1252", encoding="hex")
    yield _file("header not UTF-8", ".csv", b"type,caf\xe9\n", "line 1", "0xE9", "--encoding")
    yield _file("NUL bytes in header", ".csv", b"type,a\0b\n", "line 1", "NUL bytes")
    yield _file("unclosed header", ".csv", b'type,"message\nSMS,hi\n', "line 1", "quote in line 1")
    yield _file("workbook", ".csv", b"PK\x03\x04\0\0", "Excel workbook", "save the sheet as CSV")
    yield _file("xz", ".jsonl.xz", b"\xfd7zXZ\0\0", "xz", "gzip")


def _damaged() -> Iterator[BadInput]:
    lines = jsonl(*(record(message=f"good one {number}") for number in range(50)))
    packed = gzip.compress(lines, mtime=0)
    cut = packed[: len(packed) // 2]
    good = zlib.decompressobj(31).decompress(cut).count(b"\n")
    says = ("file is cut short", "gzip", "import it once more")
    yield BadInput("gzip cut short", ".jsonl.gz", cut, says, good + 1, good)
    says = ("file is damaged", "gzip", "copy the file again")
    yield BadInput("gzip damaged", ".jsonl.gz", packed[:-8] + b"\xff" * 8, says, 51, 50)
    table = gzip.compress(HEADER + ROW_BEFORE + b"SMS,c1,inbound,,half a text", mtime=0)[:-8]
    yield BadInput("gzip of CSV cut short", ".csv.gz", table, ("cut short",), 3, 1)


BAD_INPUTS: Final = (*_lines(), *_fields(), *_rows(), *_files(), *_damaged())
