"""Which request meets which fault: rules with a probability, a count, or a target; all seeded.

The faults that are answers: wrong status, wrong body, wrong headers.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Annotated, Any, Final, Literal, get_args

import orjson
from msgspec import Meta, structs

from leadconnector_async.arguments import AtLeastOne, Checked, NotNegative
from leadconnector_async.sandbox import replies
from leadconnector_async.sandbox.message_store import derived_id, normal_phone

WireKind = Literal["drop", "reset", "hang", "down", "cut", "overlong", "huge", "endless"]
"""What happens to the connection.

drop      it is closed without an answer
reset     the same, with a TCP reset
hang      no answer for ``seconds``, then drop
down      drop; the port is closed for ``seconds`` (connections are refused), then open again
cut       Content-Length promises more than is sent before the close
overlong  Content-Length promises less than is sent
huge      a body of 100 MB
endless   a chunked body that goes on for ``seconds``
"""

StatusKind = Literal["401", "401_nested", "403", "404", "422", "429", "500", "502", "503", "504"]

BodyKind = Literal["garbage", "html", "no_id", "id_type", "refused", "vanished"]

HeaderKind = Literal["rates_garbage", "rates_contradictory", "retry_past", "retry_far"]

ReplyKind = Literal[StatusKind, BodyKind, HeaderKind, "redirect_302", "redirect_307"]
"""What is answered instead.

401                  the token is called invalid
401_nested           the same in v3's other envelope: ``{"error": {"code", "message"}}``
403 404              the location is another's; what the path names is not there
422                  a rule is called broken: for contacts, the API does so after creating them too
429                  with ``Retry-After: seconds`` where ``seconds`` is given
500 503 504          the API's JSON error body; 502 is a proxy's HTML page
garbage              200, and bytes that are no JSON
html                 200, and an HTML page
no_id                200 without a ``messageId``
id_type              200, and ``messageId`` is a number
refused              ``status``, and the API's JSON error body
vanished             201 and nothing else, as the API answers for a message that it drops
rates_garbage        the true answer; the rate headers are no figures
rates_contradictory  the true answer; the rate headers contradict each other
retry_past           429, and Retry-After is a date long gone
retry_far            429, and Retry-After is a year
redirect_302/307     to ``target``
"""

When = Literal["before", "after"]

# fmt: off
Endpoint = Literal[
    "*", "inbound", "outbound", "upload", "export", "email", "message", "messages", "search",
    "conversation", "update_conversation", "open_conversation", "find_contact", "create_contact",
    "upsert_contact", "workflows", "delete_contact", "contact", "file", "token", "location_token",
]
# fmt: on
"""All of them, and what `leadconnector_async.sandbox.app.ROUTES` calls each."""

FaultKind = Literal[WireKind, ReplyKind]

WIRE_KINDS: Final[frozenset[str]] = frozenset(get_args(WireKind))

FAULT_KINDS: Final[tuple[str, ...]] = get_args(FaultKind)


class Fault(Checked, frozen=True):
    """One rule: which requests meet which fault.

    ``when`` is before the message is stored (it is not, and an answer that claims so is made up)
    or after. A rule looks at the requests to ``endpoint`` ("*" for all), in ``location``, with
    ``alt_id``, with ``text`` as their message, and of the contact or the call with ``number``,
    where these are given, and of those that name all that ``match`` has, in the query
    or in the JSON, as in ``{"conversationProviderId": "…"}``. Of those it picks the ``nth`` ones,
    counted from 1, or, with no ``nth``, each with ``probability``; ``times`` bounds how often.
    ``seconds``, ``target`` and ``status`` are explained with the kinds.

    Example:
        >>> Fault("500", nth=(3,)).endpoint
        'inbound'
    """

    kind: FaultKind
    when: When = "before"
    probability: Annotated[float, Meta(ge=0, le=1)] = 1.0
    nth: tuple[AtLeastOne, ...] = ()
    times: AtLeastOne | None = None
    endpoint: Endpoint = "inbound"
    location: str | None = None
    alt_id: str | None = None
    text: str | None = None
    number: str | None = None
    match: Mapping[str, Any] = {}
    seconds: NotNegative | None = None
    target: str = "https://elsewhere.invalid/"
    status: Annotated[int, Meta(ge=200, le=599)] = 400


NUMBERS: Final = "\0numbers"
"""Where the numbers of a request's contact and call stand among what it names."""


class _Armed:
    """A rule with what it has seen so far."""

    def __init__(self, fault: Fault, seed: str) -> None:
        self.fault = fault
        own = {"altId": fault.alt_id, "message": fault.text}
        self.match = {**fault.match, **{name: value for name, value in own.items() if value}}
        self.number = normal_phone(fault.number) if fault.number else None
        self._met = 0
        self.fired = 0
        self._random = Random(seed)  # noqa: S311 - reproducible, not secret

    def wants(self, endpoint: str, location: str, named: Mapping[str, Any]) -> bool:
        """Look at a request; True if this rule picks it."""
        fault = self.fault
        concerned = fault.endpoint in ("*", endpoint) and fault.location in (None, location)
        if not concerned or any(named.get(name) != value for name, value in self.match.items()):
            return False
        if self.number is not None and self.number not in named[NUMBERS]:
            return False
        self._met += 1
        picked = self._met in fault.nth if fault.nth else self._random.random() < fault.probability
        return picked and (fault.times is None or self.fired < fault.times)


class FaultPlan:
    """The rules in their order: the first that picks a request wins, all of them count it."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self.fired: Counter[str] = Counter()
        self._seed = seed
        self._armed: tuple[_Armed, ...] = ()
        self.set(faults)

    def __bool__(self) -> bool:
        return bool(self._armed)

    def set(self, faults: Iterable[Fault]) -> None:
        """Replace all rules. Each draws from a sequence of its own."""
        self._armed = tuple(_Armed(fault, f"{self._seed}:{n}") for n, fault in enumerate(faults))
        self.asks: bool = any(armed.match or armed.number for armed in self._armed)
        """Whether a rule depends on what a request names."""

    def choose(self, endpoint: str, location: str, named: Mapping[str, Any]) -> Fault | None:
        """The fault that this request meets, if any."""
        wanting = [armed for armed in self._armed if armed.wants(endpoint, location, named)]
        if not wanting:
            return None
        first = wanting[0]
        first.fired += 1
        self.fired[first.fault.kind] += 1
        return first.fault


_PAGE: Final = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"

_HTML: Final = "text/html; charset=utf-8"

_NESTED: Final = {
    "error": {"code": "UNAUTHENTICATED", "message": "Invalid token: access token is invalid"}
}

_GARBAGE: Final = ("lots", "-7", "1e999", "", "99999999999999999999", "NaN")

_GARBAGE_RATES: Final = dict(zip(replies.RATES, _GARBAGE, strict=True)) | {"Retry-After": "soon"}

_CONTRADICTORY: Final = ("1", "5000", "0", "10", "200000", "0")

_CONTRADICTORY_RATES: Final = dict(zip(replies.RATES, _CONTRADICTORY, strict=True))


def invented_reply(fault: Fault, seen: int) -> replies.Reply:
    """A success for a message that was never stored."""
    ids = {name: derived_id(fault.kind, name, seen) for name in ("conversationId", "messageId")}
    return replies.json_reply(200, {"success": True, **ids, "message": "Success"})


def _with_headers(reply: replies.Reply, headers: dict[str, str]) -> replies.Reply:
    return structs.replace(reply, headers={**reply.headers, **headers})


def _altered(reply: replies.Reply, **changes: object) -> replies.Reply:
    content = orjson.loads(reply.body or b"{}") | changes
    kept = {name: value for name, value in content.items() if value is not None}
    return replies.json_reply(200, kept)


def _throttled(fault: Fault, retry_after: str | None) -> replies.Reply:
    if retry_after is None and fault.seconds is not None:
        retry_after = f"{fault.seconds:g}"
    return _with_headers(replies.THROTTLED, {"Retry-After": retry_after} if retry_after else {})


_SPOILERS: Final[dict[str, Callable[[Fault, replies.Reply], replies.Reply]]] = {
    "401": lambda _, __: replies.BAD_TOKEN,
    "401_nested": lambda _, __: replies.json_reply(401, _NESTED),
    "403": lambda _, __: replies.NO_LOCATION_ACCESS,
    "404": lambda _, __: replies.error(404, "Not Found"),
    "422": lambda _, __: replies.invalid("the sandbox was told to refuse this").reply,
    "429": lambda fault, _: _throttled(fault, None),
    "500": lambda _, __: replies.SERVER_ERROR,
    "502": lambda _, __: replies.Reply(502, _PAGE, _HTML),
    "503": lambda _, __: replies.error(503, "Service Unavailable"),
    "504": lambda _, __: replies.error(504, "Gateway Timeout"),
    "garbage": lambda _, __: replies.Reply(200, b'\x00\xff{"success": tru'),
    "html": lambda _, __: replies.Reply(200, _PAGE, _HTML),
    "no_id": lambda _, reply: _altered(reply, messageId=None),
    "id_type": lambda _, reply: _altered(reply, messageId=12345),
    "refused": lambda fault, _: replies.error(fault.status, "the sandbox was told to refuse this"),
    "vanished": lambda _, __: replies.Reply(201, b""),
    "rates_garbage": lambda _, reply: _with_headers(reply, _GARBAGE_RATES),
    "rates_contradictory": lambda _, reply: _with_headers(reply, _CONTRADICTORY_RATES),
    "retry_past": lambda fault, _: _throttled(fault, "Wed, 21 Oct 2015 07:28:00 GMT"),
    "retry_far": lambda fault, _: _throttled(fault, "31536000"),
    "redirect_302": lambda fault, _: replies.Reply(302, b"", headers={"Location": fault.target}),
    "redirect_307": lambda fault, _: replies.Reply(307, b"", headers={"Location": fault.target}),
}


def spoil(fault: Fault, reply: replies.Reply) -> replies.Reply:
    """What is answered instead of ``reply``. Faults of the wire change nothing here."""
    spoiler = _SPOILERS.get(fault.kind)
    return spoiler(fault, reply) if spoiler else reply
