"""Records as exports of messaging systems have them: the one generator that every benchmark uses.

Deterministic in its seed, and flat in memory: nothing is kept per record or per contact.

- Types: 62 % SMS, 15 % Email, 13 % Call, 10 % WhatsApp.
- Text lengths are log-normal: a median of 70 characters in a text message, of 900 in an email.
- Contacts follow a Zipf-Mandelbrot law: a few write daily, most wrote once or twice. The busiest of
  83,000 has some 800 of a million messages, as a real contact may; a plain Zipf law would give it a
  tenth of them all.
- 45 % are outbound, but no calls: those have an endpoint of their own, for a conversation that has
  to be opened first.
- Dates run over five years, nearly in order, as exports are.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from hashlib import blake2b
from math import exp
from typing import TYPE_CHECKING, Final

import orjson
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED: Final = 20240229
FIRST_DAY: Final = int(datetime(2019, 3, 1, tzinfo=UTC).timestamp())
FIVE_YEARS_S: Final = 5 * 365 * 86_400
DAY_S: Final = 86_400
RECORDS_PER_CONTACT: Final = 12
INBOUND_SHARE: Final = 0.55
BUSY_CONTACTS: Final = 200
"""The shift of the Zipf-Mandelbrot law: about so many contacts are equally busy."""
PROVIDER_ID: Final = "61d6d1f9cdac7612faf80753"
CALL_ENDINGS: Final = ("completed", "answered", "no-answer", "voicemail", "busy")
PHRASES: Final = (
    "hi hello thanks thank you please could we reschedule the appointment for tomorrow at 3:30 pm "
    "I will be there in ten minutes sorry running late is this still available how much would it "
    "cost to repair a boiler your invoice #2291 is attached let me know if you have any questions "
    "great see you on Friday can you call me back when free yes no maybe next week works better "
    "our address is 12 Elm Street, Suite 4 the order has shipped and should arrive by Monday "
    "naïve café señor über 👍 😊 ok perfect confirmed STOP quote estimate warranty review "
)

Fields = dict[str, object]


class Shape(Struct, frozen=True, kw_only=True):
    """What is to be generated: how many records, spread over how many locations.

    ``people`` is how many contacts each of those has; by default it follows from the records.
    """

    count: int
    locations: int = 1
    seed: int = SEED
    people: int | None = None

    @property
    def contacts(self) -> int:
        """How many contacts a location has."""
        return self.people or max(1, self.count // (RECORDS_PER_CONTACT * self.locations))


def _direction(chance: float, kind: str) -> str:
    return "inbound" if kind == "Call" or chance < INBOUND_SHARE else "outbound"


def location_id(number: int) -> str:
    """The id of a location, 20 characters as the API has them."""
    return _digest("location", number)


def records(shape: Shape) -> Iterator[Fields]:
    """Records in the importer's own form: the API's fields, plus ``id`` and ``locationId``."""
    draw = random.Random(shape.seed)  # noqa: S311 - reproducible, not secret
    prose = " ".join(draw.choices(PHRASES.split(), k=60_000))
    for number in range(shape.count):
        location = draw.randrange(shape.locations)
        kind = draw.choices(("SMS", "Email", "Call", "WhatsApp"), (62, 15, 13, 10))[0]
        contact = _contact(draw.random(), shape.contacts)
        yield {
            "id": f"{kind[:2].upper()}{draw.getrandbits(128):032x}",
            "locationId": location_id(location),
            "type": kind,
            "contactId": _digest(f"contact{location}", contact),
            **_provider(kind),
            "direction": _direction(draw.random(), kind),
            "date": _date(draw, number / shape.count),
            **_content(draw, kind, contact, prose),
        }


def bodies(shape: Shape) -> Iterator[bytes]:
    """The same records as bodies of the inbound call, byte for byte what an importer sends."""
    for record in records(shape):
        del record["id"], record["locationId"]
        yield orjson.dumps(record)


def write_jsonl(path: Path, shape: Shape) -> int:
    """Write the records as JSON Lines; returns the size in bytes."""
    with path.open("wb", buffering=1 << 20) as file:
        for record in records(shape):
            file.write(orjson.dumps(record) + b"\n")
        return file.tell()


def _digest(kind: str, number: int) -> str:
    return blake2b(f"{kind}/{number}".encode(), digest_size=10).hexdigest()


def _contact(uniform: float, contacts: int) -> int:
    """The inverse of Zipf-Mandelbrot's distribution with exponent 1."""
    return int(BUSY_CONTACTS * (((contacts + BUSY_CONTACTS) / BUSY_CONTACTS) ** uniform - 1))


def _date(draw: random.Random, part: float) -> str:
    at = FIRST_DAY + int(part * FIVE_YEARS_S + draw.random() * DAY_S)
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _provider(kind: str) -> Fields:
    return {"conversationProviderId": PROVIDER_ID} if kind == "Call" else {}


def _text(draw: random.Random, prose: str, median: int, spread: float, longest: int) -> str:
    length = min(longest, 2 + int(median * exp(spread * draw.gauss(0, 1))))
    start = draw.randrange(len(prose) - longest)
    return prose[start : start + length].strip() or "ok"


def _phone(contact: int) -> str:
    return f"+1{2_025_550_100 + contact}"


def _content(draw: random.Random, kind: str, contact: int, prose: str) -> Fields:
    if kind == "Call":
        ending = draw.choice(CALL_ENDINGS)
        return {"call": {"to": "+12025550000", "from": _phone(contact), "status": ending}}
    if kind == "Email":
        return _email(draw, contact, prose)
    text: Fields = {"message": _text(draw, prose, 70, 0.8, 1_600)}
    if draw.random() < 0.03:
        text["attachments"] = [f"https://files.example.com/{draw.getrandbits(64):016x}.jpg"]
    return text


def _email(draw: random.Random, contact: int, prose: str) -> Fields:
    text = _text(draw, prose, 900, 0.9, 20_000)
    return {
        "subject": _text(draw, prose, 35, 0.4, 120),
        "html": f'<html><body style="font-family:Arial"><p>{text}</p></body></html>',
        "emailFrom": f"contact{contact}@example.com",
        "emailTo": "office@example.com",
    }
