"""The canary: one message of each kind to a contact that cannot exist, read back and removed again.

It tells what no reading can: whether the token may write, whether a provider fits a type, what the
account makes of dates, directions and threads, and what it does with an imported message.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

import orjson
from msgspec import Struct

from leadconnector_async.api import effects, endpoints, responses
from leadconnector_async.api.contacts import delete_contact, made_contact, make_contact
from leadconnector_async.api.listings import ListedMessage, date_ms, read_messages
from leadconnector_async.client import LeadConnector
from leadconnector_async.doctor import Finding, Kind, finding
from leadconnector_async.errors import FateUnknownError, LeadConnectorError
from leadconnector_async.models import Contact, Receipt
from leadconnector_async.records.validation import RULES
from leadconnector_async.transport.base import Request, Response

FIRST: Final = datetime(2020, 1, 1, 12, 0, tzinfo=UTC)
"""The date of the first message: long ago, as those of a history are."""

TEXT: Final = "leadconnector doctor: a trial message, to be removed"

SLACK_MS: Final = 1000


class _Trial(Struct):
    """One message, and what became of it."""

    kind: Kind
    date: datetime
    answers: str | None = None
    """The ``emailMessageId`` of the thread that it is to join."""
    receipt: Receipt | None = None
    read: ListedMessage | None = None


async def fly(api: LeadConnector, location: str, kinds: Iterable[Kind]) -> list[Finding]:
    """Write, read back, and remove.

    Whatever happens on the way, the contact is removed, or named in a finding. A cancellation is
    one too: it ends the writing, and not the removal.
    """
    flight = _Flight(api, location)
    found: list[Finding] = []
    try:
        found.append(await flight.make())
        if flight.contact is not None:
            found += [one async for one in flight.write(sorted(kinds))]
            found += [one async for one in flight.read()]
    except LeadConnectorError as error:
        found.append(finding("canary_fault", error=error))
    except asyncio.CancelledError:
        found.append(finding("canary_interrupted"))
    return found + await flight.remove()


class _Flight:
    def __init__(self, api: LeadConnector, location: str) -> None:
        self._api = api
        self._location = location
        self.contact: str | None = None
        self._number = f"+1202555{secrets.randbelow(100) + 100:04}"
        self._trials: list[_Trial] = []
        self._conversation: str | None = None

    async def _ask(self, request: Request) -> Response:
        return await self._api.exchange(self._location, request)

    async def make(self) -> Finding:
        tag = secrets.token_hex(4)
        who = Contact(self._number, f"canary-{tag}@example.com", f"leadconnector doctor {tag}")
        try:
            response = await self._ask(make_contact(self._location, who))
        except (FateUnknownError, asyncio.CancelledError) as error:
            why = str(error) or "it was interrupted"
            return finding("canary_contact_doubtful", number=self._number, why=why)
        self.contact = made_contact(response) or await self._made_all_the_same(who)
        if self.contact is None:
            said = effects.words_of(response)
            return finding("canary_contact_refused", number=self._number, said=said)
        return finding("canary_contact", contact=self.contact, number=self._number)

    async def _made_all_the_same(self, who: Contact) -> str | None:
        """The API has refused a contact, and made it: nobody else has its address."""
        with suppress(LeadConnectorError):
            found = await self._api.find_contact(email=who.email, location_id=self._location)
            return found.id if found is not None and found.email == who.email else None
        return None

    async def write(self, kinds: list[Kind]) -> AsyncIterator[Finding]:
        """Write one message of each kind, and a second mail into the first one's thread."""
        for kind in kinds:
            yield await self._add(kind, None)
            receipt = self._trials[-1].receipt
            if kind.type == "Email" and receipt is not None:
                if receipt.email_message_id is None:
                    yield finding("canary_no_thread")
                else:
                    yield await self._add(kind, receipt.email_message_id)

    async def _add(self, kind: Kind, answers: str | None) -> Finding:
        trial = _Trial(kind, FIRST.replace(minute=len(self._trials)), answers)
        self._trials.append(trial)
        path = endpoints.OUTBOUND_CALL_PATH if kind.outbound_call else endpoints.INBOUND_PATH
        response = await self._ask(endpoints.post_message(path, self._body(trial)))
        answer = responses.classify(response.status, response.body)
        if not isinstance(answer, responses.Accepted):
            said = f"{answer.refusal.status} {answer.refusal.message}"
            return finding("canary_not_stored", kind=kind.text, said=said)
        trial.receipt = answer.receipt
        self._conversation = answer.receipt.conversation_id or self._conversation
        return finding("canary_stored", kind=kind.text)

    def _body(self, trial: _Trial) -> bytes:
        kind, rule = trial.kind, RULES[trial.kind.type]  # type: ignore[index]  # as it was checked
        fields: dict[str, Any] = {
            "type": kind.type,
            "contactId": self.contact,
            "direction": "outbound" if kind.outbound else "inbound",
            "date": trial.date.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "altId": f"leadconnector-doctor-{len(self._trials)}",
        }
        if kind.provider:
            fields["conversationProviderId"] = kind.provider
        if rule.call:
            ends = ("to", "from") if kind.outbound else ("from", "to")
            fields["call"] = {ends[0]: self._number, ends[1]: _OTHER, "status": "completed"}
        else:
            fields["message"] = TEXT
        if kind.type == "Email":
            fields |= {"subject": TEXT, "html": f"<p>{TEXT}</p>"}
        if trial.answers:
            fields["emailMessageId"] = trial.answers
        if kind.outbound_call:
            del fields["direction"]
        return orjson.dumps(fields)

    async def read(self) -> AsyncIterator[Finding]:
        """Read all back, once it shows; then say what the account did with it."""
        if self._conversation is None:
            return
        written = {t.receipt.message_id: t for t in self._trials if t.receipt is not None}
        others: list[ListedMessage] = []
        for before, after in pairwise((0.0, *self._api.policy.look_after)):
            await asyncio.sleep(after - before)
            response = await self._ask(endpoints.list_messages(self._conversation))
            if not responses.is_success(response):
                yield finding("canary_read_refused", said=effects.words_of(response))
                return
            try:
                listed = read_messages(response.body).messages
            except ValueError as error:
                yield finding("canary_unreadable", what=error)
                return
            for message in listed:
                if message.id in written:
                    written[message.id].read = message
            # One of its own, whose answer told of an error, may be there all the same.
            others = [one for one in listed if one.id not in written and one.body != TEXT]
            if all(trial.read is not None for trial in written.values()):
                break
        for trial in written.values():
            yield _compared(trial)
        yield _answered(others)
        yield await self._unread(len(written))

    async def _unread(self, count: int) -> Finding:
        response = await self._ask(endpoints.get_conversation(self._conversation or ""))
        answer = response.body if responses.is_success(response) else b""
        unread = responses.json_object(answer).get("unreadCount")
        if not isinstance(unread, int):
            return finding("canary_unread_unknown")
        return finding("canary_unread" if unread else "canary_all_read", unread=unread, count=count)

    async def remove(self) -> list[Finding]:
        """Remove the contact, and with it its conversation."""
        if self.contact is None:
            return []
        why = ""
        for _ in range(self._api.policy.attempts):
            try:
                response = await self._ask(delete_contact(self.contact))
            except LeadConnectorError as error:
                why = str(error)
            else:
                if responses.is_success(response) or responses.is_absent(response):
                    return [finding("canary_removed", contact=self.contact)]
                why = str(responses.read_refusal(response.status, response.body))
            await asyncio.sleep(self._api.policy.delay(1, self._api.random))
        about = {"contact": self.contact, "number": self._number}
        return [finding("canary_not_removed", **about, why=why)]


_OTHER: Final = "+12025550100"


def _compared(trial: _Trial) -> Finding:
    """Say whether a message reads as it was written."""
    read, kind = trial.read, trial.kind.text
    if read is None:
        return finding("canary_hidden", kind=kind)
    if wrong := ", ".join(_differences(trial, read)):
        return finding("canary_differs", kind=kind, differences=wrong)
    thread = ", in its thread" if trial.answers else ""
    said = {"type": trial.kind.type, "direction": read.direction, "date": trial.date}
    return finding("canary_same", kind=kind, **said, thread=thread)


def _differences(trial: _Trial, read: ListedMessage) -> Iterator[str]:
    shown_as = RULES[trial.kind.type].read_as  # type: ignore[index]  # as it was checked
    if shown_as and read.message_type not in (trial.kind.type, *shown_as):
        yield f"its type is {read.message_type}"
    if read.direction != ("outbound" if trial.kind.outbound else "inbound"):
        yield f"its direction is {read.direction}"
    if read.date_added is None:
        yield "it has no date"
    elif abs(date_ms(read.date_added) - trial.date.timestamp() * 1000) > SLACK_MS:
        yield f"its date is {read.date_added:%Y-%m-%d %H:%M:%S}"
    if trial.answers and read.thread != trial.answers:
        yield "it is not in its thread"


def _answered(others: list[ListedMessage]) -> Finding:
    if not others:
        return finding("canary_unanswered")
    types = ", ".join(sorted({str(message.message_type) for message in others}))
    return finding("canary_answered", count=len(others), types=types)
