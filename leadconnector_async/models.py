"""The values that cross the library's border: what is sent, what is answered, what became of it.

Their ``repr`` shows ids and types, and never the text of a message.
"""

from datetime import datetime
from typing import Any, Final, Literal, get_args

from msgspec import Struct, field

from leadconnector_async.public_place import name_public_place

_Documented = Literal[
    "SMS", "Email", "WhatsApp", "GMB", "IG", "FB", "Custom", "WebChat", "Live_Chat", "Call"
]

_Further = Literal["RCS", "IVR_Call", "Campaign_Call", "Campaign_VoiceMail", "TIKTOK"]

MessageType = Literal[_Documented, _Further, "ALL_IN_ONE_CHAT", "FORM_SUBMISSION"]

MESSAGE_TYPES: Final[tuple[MessageType, ...]] = get_args(MessageType)
"""Every type of the OpenAPI file's ``ProcessMessageBodyDto``; the first ten are documented."""

Direction = Literal["inbound", "outbound"]

DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)

CallStatus = Literal[
    "pending", "completed", "answered", "busy", "no-answer", "failed", "canceled", "voicemail"
]

CALL_STATUSES: Final[tuple[CallStatus, ...]] = get_args(CallStatus)

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "type": MESSAGE_TYPES,
    "direction": DIRECTIONS,
    "call.status": CALL_STATUSES,
}
"""Fields that allow some words only, by the API's names."""


class Call(Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"from_": "from"}):
    """Who called whom, and how it ended. Numbers are E.164. The API has no duration field.

    Example:
        >>> Call(to="+12125550100", from_="+12125550199", status="completed").status
        'completed'
    """

    to: str | None = None
    from_: str | None = None
    status: CallStatus | None = None

    def __repr__(self) -> str:
        return f"Call(status={self.status!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("status", self.status)]


class Contact(Struct, frozen=True, omit_defaults=True):
    """Who a record is with, where its id is not known: a number in E.164, an address, a name.

    Example:
        >>> Contact("+12125550100", name="Jane Doe").key
        '+12125550100'
    """

    phone: str | None = None
    email: str | None = None
    name: str | None = None

    @property
    def key(self) -> str:
        """What tells contacts apart: the number, else the address. Names find nobody."""
        return self.phone or self.email or ""

    def __repr__(self) -> str:
        known = [field for field in ("phone", "email", "name") if getattr(self, field)]
        return f"Contact({', '.join(known)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class FoundContact(Struct, frozen=True, kw_only=True, rename="camel"):
    """A contact as the API gives it back. What it did not tell is None.

    ``phone`` is the primary number, ``email`` the primary address; further numbers of a contact are
    in none of the API's answers (highlevel-api-docs 331).

    Example:
        >>> FoundContact(id="9VEmS0si86GW6gXWU89b", phone="+12125550100").phone
        '+12125550100'
    """

    id: str
    phone: str | None = None
    email: str | None = None
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    additional_emails: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"FoundContact(id={self.id!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("id", self.id)]


class UpsertedContact(Struct, frozen=True, kw_only=True):
    """What an upsert came to: the contact as it is now, and whether it was made.

    ``dropped`` names the fields that were given and that the contact does not have now: ``phone``,
    where number and address belong to two contacts.

    Example:
        >>> contact = FoundContact(id="9VEmS0si86GW6gXWU89b", email="jane@example.com")
        >>> UpsertedContact(contact=contact, new=False, dropped=("phone",)).dropped
        ('phone',)
    """

    contact: FoundContact
    new: bool
    dropped: tuple[str, ...] = ()


class ConversationSummary(Struct, frozen=True, kw_only=True):
    """A conversation as the search gives it. What it did not tell is None.

    ``unread`` counts messages, ``last_message_at`` is aware and in UTC, ``last_message_type`` is
    such as ``TYPE_SMS``.

    Example:
        >>> ConversationSummary(id="BTGqKhdyPhqWxSaQnNSr", unread=2).unread
        2
    """

    id: str
    contact_id: str | None = None
    unread: int | None = None
    last_message_at: datetime | None = None
    last_message_type: str | None = None


class MessageFields(Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """The fields of the inbound call, in the order in which they are encoded."""

    type: MessageType
    contact_id: str | None = None
    conversation_id: str | None = None
    conversation_provider_id: str | None = None
    direction: Direction | None = None
    date: datetime | None = None
    message: str | None = None
    subject: str | None = None
    html: str | None = None
    email_from: str | None = None
    email_to: str | None = None
    email_cc: list[str] | None = None
    email_bcc: list[str] | None = None
    email_message_id: str | None = None
    alt_id: str | None = None
    attachments: list[str] | None = None
    call: Call | None = None

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        who = self.contact_id or self.conversation_id
        return [("type", self.type), ("who", who), ("direction", self.direction)]


class InboundMessage(MessageFields, frozen=True):  # type: ignore[misc]  # unlike a dataclass, a Struct may
    """One message for ``POST /conversations/messages/inbound``.

    ``date`` is an aware datetime, sent in UTC. ``direction="outbound"`` only records: nothing is
    delivered. Rules per type are checked before a request leaves, see `InvalidMessageError`.

    Example:
        >>> when = datetime(2024, 5, 1, 9, 30, tzinfo=UTC)
        >>> InboundMessage(type="SMS", contact_id="c1", direction="inbound", date=when, message="")
        InboundMessage(type='SMS', who='c1', direction='inbound')
    """


class Record(Struct, frozen=True, kw_only=True):
    """A message with what the importer needs beside it.

    ``id`` is the caller's own key: the same id in the same location is the same record, however
    often it is given. Without one, the content is the key. ``location_id`` defaults to the
    client's. ``contact`` says who the message is with where it has neither ``contact_id`` nor
    ``conversation_id``: the contact is found, or made, as `Policy.contacts` says.

    Example:
        >>> message = InboundMessage(type="SMS", message="hi", direction="inbound")
        >>> record = Record(message=message, id="crm-17", contact=Contact("+12125550100"))
    """

    message: InboundMessage
    id: str | None = None
    location_id: str | None = None
    contact: Contact | None = None


class RateLimitHeaders(Struct, frozen=True, kw_only=True, gc=False):
    """The quota as the server sees it at the moment of an answer. What it did not tell is None.

    ``max`` and ``remaining`` are requests in ``interval_ms`` milliseconds; ``daily_limit`` and
    ``daily_remaining`` requests in a day, which begins anew in ``daily_reset_ms`` milliseconds.

    Example:
        >>> RateLimitHeaders(max=100, remaining=99, interval_ms=10_000).remaining
        99
    """

    max: int | None = None
    remaining: int | None = None
    interval_ms: int | None = None
    daily_limit: int | None = None
    daily_remaining: int | None = None
    daily_reset_ms: int | None = None


class Receipt(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the API answered for a stored message.

    An outbox keeps the ids of message, conversation and thread alone: so has an outcome. ``quota``
    is what the answer's headers told; None where no answer came, or it told nothing.

    Example:
        >>> Receipt(message_id="m1", quota=RateLimitHeaders(remaining=99)).quota.remaining
        99
    """

    message_id: str
    conversation_id: str | None = None
    contact_id: str | None = None
    email_message_id: str | None = None
    date_added: str | None = None
    success: bool | None = None
    message: str | None = None
    """The API's words on the result."""
    quota: RateLimitHeaders | None = field(default=None, name="X-RateLimit-*")

    def __repr__(self) -> str:
        return f"Receipt(message_id={self.message_id!r}, conversation_id={self.conversation_id!r})"


class Problem(Struct, frozen=True):
    """One rule that a message breaks: the API's field name, what is wrong, and what to do.

    Example:
        >>> print(Problem("date", "has no offset", "write one such as Z"))
        date has no offset: write one such as Z
    """

    field: str
    wrong: str
    fix: str

    def __str__(self) -> str:
        return f"{self.field} {self.wrong}: {self.fix}"


class Refusal(Struct, frozen=True, kw_only=True):
    """The API's own words for storing nothing. ``message`` is cut to 300 characters.

    Example:
        >>> print(Refusal(status=400, message="No conversationProviderId passed in body"))
        400 No conversationProviderId passed in body
    """

    status: int
    message: str
    canonical_code: str | None = None
    trace_id: str | None = None

    def __str__(self) -> str:
        code = f" [{self.canonical_code}]" if self.canonical_code else ""
        trace = f" (trace {self.trace_id})" if self.trace_id else ""
        return f"{self.status} {self.message}{code}{trace}"


class Sent(Struct, frozen=True, kw_only=True):
    """The record is stored. ``found`` tells that it was found by looking, not by its answer.

    Example:
        >>> Sent(key="crm-17", location_id="l", receipt=Receipt(message_id="m1")).receipt.message_id
        'm1'
    """

    key: str
    location_id: str
    receipt: Receipt
    found: bool = False


class Rejected(Struct, frozen=True, kw_only=True):
    """The record is not stored, and will not be: validation or the API said no.

    ``refusal`` is None where validation refused it before any request.

    Example:
        >>> Rejected(key="crm-17", location_id="loc", reason="date has no offset").reason
        'date has no offset'
    """

    key: str
    location_id: str
    reason: str
    refusal: Refusal | None = None


class Unresolved(Struct, frozen=True, kw_only=True):
    """The record may be stored, and it could not be found out.

    Example:
        >>> Unresolved(key="crm-17", location_id="loc", reason="it could not be looked for").key
        'crm-17'
    """

    key: str
    location_id: str
    reason: str


Outcome = Sent | Rejected | Unresolved


name_public_place(globals())
