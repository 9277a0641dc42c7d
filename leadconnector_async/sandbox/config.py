"""What the sandbox can be told: limits, latency, reads, who may enter, and which faults to show."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from leadconnector_async.arguments import AtLeastOne, Checked, MoreThanZero, NotNegative
from leadconnector_async.sandbox.faults import Fault

READ_SCOPES: Final = frozenset({"conversations.readonly", "conversations/message.readonly"})
"""Put these into ``SandboxConfig.denied_scopes`` to forbid every look at what is stored."""

ANY_LOCATION: Final = "SandboxLocation00001"
"""What a location is called that answers to any name."""

VERSIONS: Final = frozenset({"2021-04-15", "2021-07-28", "2023-02-21", "v3"})


class Limits(Checked, frozen=True, kw_only=True):
    """The quota of one app in one location. The defaults are the API's own figures.

    ``interval`` and ``day`` are seconds. ``phase`` aligns fixed windows to multiples of
    ``interval`` (plus the phase, in seconds) of the server's clock; without one, a window starts
    with the first request after the last window has ended. ``daily=None`` sets no budget for the
    day and announces none.

    Example:
        >>> config = SandboxConfig(limits=Limits(max=100, interval=10.0, daily=200_000))
    """

    window: Literal["off", "fixed", "sliding", "bucket"] = "fixed"
    max: AtLeastOne = 100
    interval: MoreThanZero = 10.0
    phase: float | None = None
    daily: Annotated[int, Meta(ge=0)] | None = 200_000
    day: MoreThanZero = 86_400.0
    headers: bool = True
    retry_after: bool = True


NO_LIMITS: Final = Limits(window="off", max=10_000_000, daily=1_000_000_000)
"""Nothing is counted. Large figures are announced, so that a client learns it need not pace."""


class Latency(Checked, frozen=True, kw_only=True):
    """Seconds on the way in (``up``, before the request is counted) and on the way back (``down``).

    Each way gets up to ``jitter`` seconds more, evenly spread.

    Example:
        >>> config = SandboxConfig(latency=Latency())
    """

    up: NotNegative = 0.0
    down: NotNegative = 0.0
    jitter: NotNegative = 0.0


class Reads(Checked, frozen=True, kw_only=True):
    """How reads differ from what is stored. Lags are seconds.

    A message shows ``lag`` after it was stored, a conversation in the search ``search_lag`` after
    it was opened. ``flat`` has the messages of a conversation at the listing's top, as in the
    OpenAPI files, instead of in ``messages.messages``, as seen live.
    ``export_by`` says what the export's dates and order mean: the date of the message, or the
    moment it was stored; the API's documentation does not tell.

    Example:
        >>> config = SandboxConfig(reads=Reads(lag=2.0))
    """

    lag: NotNegative = 0.0
    search_lag: NotNegative = 0.0
    alt_id: bool = True
    flat: bool = False
    export_by: Literal["date", "stored"] = "date"


class SandboxContact(Checked, frozen=True, kw_only=True, rename="camel"):
    """A contact that exists before the first request. ``location_id`` defaults to the sandbox's.

    Example:
        >>> jane = SandboxContact(id="9VEmS0si86GW6gXWU89b", phone="+12125550100")
        >>> config = SandboxConfig(contacts=(jane,))
    """

    id: str
    phone: str | None = None
    email: str | None = None
    name: str | None = None
    additional_emails: tuple[str, ...] = ()
    location_id: str | None = None


class OAuthInstallation(Struct, frozen=True, kw_only=True):
    """An app installed in a location, or in a company where ``location_id`` is None.

    Example:
        >>> OAuthInstallation(refresh_token="first", company_id="company").location_id
    """

    refresh_token: str
    company_id: str
    location_id: str | None = None

    def __repr__(self) -> str:
        return f"Installation({self.company_id!r}, {self.location_id!r})"


class OAuthApp(Struct, frozen=True, kw_only=True):
    """An OAuth app: whose refresh tokens it holds, and which locations a company has.

    ``expires_in`` is the life of an access token, in seconds of the sandbox's clock.

    Example:
        >>> app = OAuthApp(client_id="client-id", client_secret="secret")
    """

    client_id: str
    client_secret: str
    installations: tuple[OAuthInstallation, ...] = ()
    company_locations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    expires_in: int = 86_399

    def __repr__(self) -> str:
        return f"OAuthApp({self.client_id!r})"


class SandboxConfig(Checked, frozen=True, kw_only=True):
    """All that the sandbox can be told. The defaults make a quick and faultless server.

    ``tokens`` maps each token to its location. While it is empty and there is no ``oauth``, any
    token is let in, and there is one location: ``location_id``, or, by default, whichever is asked
    for; ``apart`` then gives each token a location of its own, under any name. ``closed`` knows
    only the ``contacts`` given or created, the conversations opened, the
    ``providers``, and what `Sandbox.know` names, and refuses other ids in the API's words;
    ``closed=False`` opens them on demand, and any provider fits. ``trusting`` takes ids of the
    API's own form for known ones, as a rehearsal with somebody's real file has to. ``providers``
    maps conversation provider ids to the message ``type`` that each is for. ``strict_threads``
    refuses an ``emailMessageId`` that was never answered. ``custom_vanishes`` is the API's habit of
    answering ``Custom`` without a provider id with an empty 201 and storing nothing.
    ``conversation_first`` refuses calls and uploads that name a contact alone, as of old.
    ``workflows`` are names of automations that the account lists, and ``answer`` is the text of an
    SMS by which one of them answers each inbound message.
    ``keep_messages=False`` counts messages and forgets them. ``keep_alive`` is in seconds,
    ``upload_limit`` in bytes.

    Example:
        >>> with SandboxThread(SandboxConfig(closed=False)) as sandbox:
        ...     print(len(sandbox.messages))
        0
    """

    token: str = "sandbox-token"  # noqa: S105 - a name that opens nothing but this sandbox
    location_id: str = ANY_LOCATION
    tokens: Mapping[str, str] = field(default_factory=dict)
    oauth: OAuthApp | None = None
    versions: frozenset[str] = VERSIONS
    denied_scopes: frozenset[str] = frozenset()
    limits: Limits = NO_LIMITS
    location_limits: Mapping[str, Limits] = field(default_factory=dict)
    latency: Latency = Latency()
    reads: Reads = Reads()
    closed: bool = True
    trusting: bool = False
    apart: bool = False
    contacts: tuple[SandboxContact, ...] = ()
    providers: Mapping[str, str] = field(default_factory=dict)
    strict_threads: bool = False
    custom_vanishes: bool = True
    conversation_first: bool = False
    created_status: Literal[200, 201] = 200
    workflows: tuple[str, ...] = ()
    answer: str | None = None
    upload_limit: AtLeastOne = 5 * 1024 * 1024
    faults: tuple[Fault, ...] = ()
    keep_messages: bool = True
    keep_alive: NotNegative = 75.0
    seed: int = 0

    def __repr__(self) -> str:
        return f"SandboxConfig(location_id={self.location_id!r}, limits={self.limits!r})"
