"""The example history: two years of messages of a small business, seven of them wrong on purpose.

The same seed writes the same files. ``python tests/support/example_history.py FOLDER``
writes ``history.jsonl`` and, with the same records, ``history.csv``.
"""

from __future__ import annotations

import csv
import html
import io
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import orjson
from example_texts import CUSTOMERS, EPISODES, WORDS, Line

from leadconnector_async.sandbox.message_store import derived_id

SEED: Final = 2025

SIZE: Final = 400

PROVIDER_ID: Final = derived_id("example", "call provider")

_BEGIN: Final = datetime(2023, 9, 4, 8, 0)  # noqa: DTZ001 - local time; `_local` adds the offset

_DAYS: Final = 725

_SUMMER: Final = range(4, 11)

_ON_WHATSAPP: Final = range(3, len(CUSTOMERS), 5)

_BUSINESS_PHONE: Final = "+13125550100"

_BUSINESS_EMAIL: Final = "office@riverbend-air.example"

_COLUMNS: Final = (
    "id",
    "type",
    "contactId",
    "conversationProviderId",
    "direction",
    "date",
    "message",
    "subject",
    "html",
    "emailFrom",
    "emailTo",
    "emailCc",
    "attachments",
    "call.to",
    "call.from",
    "call.status",
)

Record = dict[str, Any]


class _Customer(NamedTuple):
    first: str
    last: str
    contact_id: str
    phone: str
    email: str
    chat: str


def _customers() -> list[_Customer]:
    return [
        _Customer(
            first=first,
            last=last,
            contact_id=derived_id("example", "contact", number),
            phone=f"+1312555{101 + number:04d}",
            email=f"customer{number + 1:02d}@mail.example",
            chat="WhatsApp" if number in _ON_WHATSAPP else "SMS",
        )
        for number, (first, last) in enumerate(CUSTOMERS)
    ]


def _local(moment: datetime) -> str:
    """The business is in Chicago. Months stand in for the exact days of the clock changes."""
    offset = timezone(timedelta(hours=-5 if moment.month in _SUMMER else -6))
    return moment.replace(tzinfo=offset).isoformat()


def _page(text: str) -> str:
    paragraphs = html.escape(text, quote=False).split("\n\n")
    return "".join(f"<p>{paragraph.replace(chr(10), '<br>')}</p>" for paragraph in paragraphs)


def _email(customer: _Customer, line: Line, words: dict[str, str], text: str) -> Record:
    ends = [_BUSINESS_EMAIL, customer.email]
    sender, receiver = ends if line.direction == "outbound" else ends[::-1]
    email: Record = {
        "message": text,
        "subject": line.subject.format_map(words),
        "html": _page(text),
        "emailFrom": sender,
        "emailTo": receiver,
    }
    if "quote" in line.subject:
        copies = ["billing@riverbend-air.example"]
        email["emailCc"] = [*copies, f"{words['tech'].lower()}@riverbend-air.example"]
    return email


def _call(customer: _Customer, line: Line) -> Record:
    ends = [_BUSINESS_PHONE, customer.phone]
    caller, called = ends if line.direction == "outbound" else ends[::-1]
    call = {"to": called, "from": caller, "status": line.text}
    return {"conversationProviderId": PROVIDER_ID, "call": call}


def _record(customer: _Customer, line: Line, words: dict[str, str], moment: datetime) -> Record:
    text = line.text.format_map(words)
    kinds = {"text": customer.chat, "email": "Email", "call": "Call"}
    record: Record = {"type": kinds[line.kind], "contactId": customer.contact_id}
    record |= {"direction": line.direction, "date": _local(moment)}
    match line.kind:
        case "text":
            record["message"] = text
        case "email":
            record |= _email(customer, line, words, text)
        case "call":
            record |= _call(customer, line)
    if line.photos:
        ending = "pdf" if line.kind == "email" else "jpg"
        name = f"{moment:%Y%m%d-%H%M}"
        record["attachments"] = [
            f"https://files.riverbend-air.example/{name}-{number + 1}.{ending}"
            for number in range(line.photos)
        ]
    return record


def _good_records(random: Random, count: int) -> list[tuple[datetime, Record]]:
    customers = _customers()
    # Few customers write often, most write once or twice.
    weights = [1 / (rank + 1) for rank in range(len(customers))]
    found: list[tuple[datetime, Record]] = []
    while len(found) < count:
        customer = random.choices(customers, weights)[0]
        words = {name: random.choice(choices) for name, choices in WORDS.items()}
        words |= {"first": customer.first, "last": customer.last}
        moment = _BEGIN + timedelta(
            days=random.randrange(_DAYS),
            minutes=random.randrange(480),
            seconds=random.randrange(60),
        )
        for line in random.choice(EPISODES):
            moment += timedelta(minutes=line.minutes, seconds=random.randrange(60))
            found.append((moment, _record(customer, line, words, moment)))
    return found[:count]


def _wrong_records(customer: _Customer) -> list[Record]:
    """One record for each of seven mistakes that real exports make."""
    base: Record = {
        "type": "SMS",
        "contactId": customer.contact_id,
        "direction": "inbound",
        "date": "2025-08-30T10:00:00-05:00",
        "message": "Are you open on Labor Day?",
    }
    call = {"to": _BUSINESS_PHONE, "from": customer.phone, "status": "completed"}
    called = {name: value for name, value in base.items() if name != "message"} | {"type": "Call"}
    return [
        {name: value for name, value in base.items() if name != "contactId"},
        base | {"type": "sms"},
        base | {"date": "2025-08-30T10:00:00"},
        called | {"call": call},
        base | {"attachments": ["C:\\Photos\\label.jpg"]},
        base | {"message": ""},
        called | {"conversationProviderId": PROVIDER_ID, "call": call | {"status": "hung-up"}},
    ]


def example_records(size: int = SIZE, seed: int = SEED) -> list[Record]:
    """The records, oldest first, with the wrong ones spread among them."""
    random = Random(seed)
    wrong = _wrong_records(_customers()[0])
    good = _good_records(random, size - len(wrong))
    records = [record for _, record in sorted(good, key=lambda pair: pair[0])]
    for number, record in enumerate(wrong):
        records.insert((number + 1) * size // (len(wrong) + 1), record)
    numbered = ({"id": f"msg-{number:04d}"} | record for number, record in enumerate(records, 1))
    return [{name: record[name] for name in _ORDER if name in record} for record in numbered]


_ORDER: Final = (*(name for name in _COLUMNS if "." not in name), "call")


def _row(record: Record) -> dict[str, str]:
    cells: dict[str, str] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            cells |= {f"{name}.{part}": text for part, text in value.items()}
        else:
            cells[name] = ";".join(value) if isinstance(value, list) else value
    return cells


def as_jsonl(records: list[Record]) -> bytes:
    """One JSON object a line."""
    return b"".join(orjson.dumps(record) + b"\n" for record in records)


def as_csv(records: list[Record]) -> bytes:
    """A table with dotted names for what is nested, and ``;`` between the items of a list."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(record) for record in records)
    return text.getvalue().encode()


def write_example(folder: Path) -> None:
    """Write both files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    records = example_records()
    (folder / "history.jsonl").write_bytes(as_jsonl(records))
    (folder / "history.csv").write_bytes(as_csv(records))


if __name__ == "__main__":
    write_example(Path(sys.argv[1]))
