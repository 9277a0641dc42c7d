"""The options of commands that send, as the library's own objects, and where they send to.

That is the API, or a sandbox inside this program.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec import Struct, structs

from leadconnector_async.api.endpoints import BASE_URL
from leadconnector_async.auth.provider import StaticToken, TokenProvider
from leadconnector_async.cli.format import counted
from leadconnector_async.cli.option_types import OFF
from leadconnector_async.client import LeadConnector
from leadconnector_async.importer import Piece, reading_options
from leadconnector_async.locations.token_sources import LocationTokens, tokens_of
from leadconnector_async.locations.toml_file import Locations
from leadconnector_async.outbox.open import read_outbox
from leadconnector_async.outbox.selection import selection_of
from leadconnector_async.policy import Policy
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.records.validation import NEED_PROVIDER
from leadconnector_async.sources import SourceOptions
from leadconnector_async.transport.aiohttp_session import Timeouts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.records.builder import Providers
    from leadconnector_async.sandbox import SandboxConfig


class ApiOptions(Struct, frozen=True, kw_only=True):
    """Where the API is, and with which tokens."""

    token: str | None
    locations: Locations | None
    base_url: str | None
    api_version: str | None
    proxy: str | None
    ca_file: str | None

    def client(
        self,
        token: str | TokenProvider,
        base_url: str | None = None,
        **more: Any,  # noqa: ANN401 - as `LeadConnector` takes them
    ) -> LeadConnector:
        """The client for an address, by default the API's.

        Raises:
            click.UsageError: the address, the token, the proxy or the CA file cannot be one.
        """
        own = self.base_url or BASE_URL
        is_own = base_url is None or base_url.rstrip("/") == own.rstrip("/")
        try:
            return LeadConnector(
                token,
                base_url=base_url or own,
                version=self.api_version,
                # Another address than was asked for is the sandbox's, on this machine.
                proxy=self.proxy if is_own else None,
                ca_file=self.ca_file,
                **more,
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from None

    def own_token(self, outbox: str | None) -> str | TokenProvider:
        """What the API is to be asked with.

        Raises:
            LocationsError: a variable that the file of locations names is not set.
        """
        listed = self.locations
        return self.token or "" if listed is None else tokens_of(listed, outbox=outbox)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # neither tokens nor an outbox with its password


class SendingOptions(ApiOptions, frozen=True, kw_only=True):
    """What the user asks for, as click has checked it. Times are in seconds."""

    concurrency: int | None
    connect_timeout: float
    timeout: float
    policy: Policy
    limit: RateLimit | None
    """The quota to assume until the API tells; None for none."""
    metrics: tuple[str, int] | None = None
    metrics_locations: bool = False
    as_json: bool
    quiet: bool

    def limits(self) -> dict[str, RateLimit | None]:
        """The same for each location of the file of locations."""
        return {} if self.locations is None else self.locations.limits(self.limit)

    def sending_client(
        self, token: str | TokenProvider, base_url: str, location: str | None = None
    ) -> LeadConnector:
        """The client for an address, within these limits. Raises as `client` does."""
        timeouts = Timeouts(connect=self.connect_timeout, read=self.timeout)
        quotas = {"limit": self.limit, "limits": self.limits()}
        return self.client(
            token, base_url, location_id=location, policy=self.policy, timeouts=timeouts, **quotas
        )


class ImportOptions(SendingOptions, frozen=True, kw_only=True):
    """What the user asks for, as click has checked it. Times are in seconds."""

    sources: tuple[str, ...]
    source: SourceOptions
    location: str | None
    outbox: str | None
    sandbox: bool
    dry_run: bool
    stage_only: bool
    provider: str | None
    piece: Piece
    source_token: str | None

    def source_client(self) -> LeadConnector | None:
        """The client for the locations that are sources, where they have a token of their own."""
        if not self.source_token:
            return None
        return self.sending_client(self.source_token, self.base_url or BASE_URL)

    async def rehearsing(self) -> SourceOptions:
        """How to read without writing anything. What earlier runs kept can be named."""
        reading = await reading_options(self.source, self.outbox or "")
        spool = reading.spool if self.outbox else None
        kept = () if spool is None or not spool.is_dir() else (spool,)
        return structs.replace(reading, files=(*reading.files, *kept), spool=None)


def providers_of(provider: str | None, locations: Locations | None) -> Providers:
    """The conversation provider by type of message: the file of locations goes first."""
    common = dict.fromkeys(NEED_PROVIDER, provider) if provider else {}
    if locations is None:
        return lambda _: common
    return lambda of: {**common, **locations.providers(of)}


def policy_of(given: dict[str, Any]) -> Policy:
    """Take out of what click gives how patient to be."""
    look_after, no_stamp = given.pop("look_after"), given.pop("no_stamp")
    taken = {name: given.pop(name) for name in Policy.__struct_fields__ if name in given}
    return Policy(look_after=(look_after / 4, look_after), stamp_alt_id=not no_stamp, **taken)


def limit_of(given: dict[str, Any]) -> RateLimit | None:
    """Take out of what click gives the quota. The sandbox has one only if it is asked for."""
    quota, daily, usual = given.pop("quota"), given.pop("daily"), RateLimit()
    if quota == OFF:
        return RateLimit(requests=10**9, daily=daily) if daily else None
    if quota is None and daily is None and given.get("sandbox"):
        return None
    rate = quota or usual
    return RateLimit(rate.requests, rate.interval, daily or usual.daily)


def piece_of(given: dict[str, Any], source: SourceOptions) -> Piece:
    """Take out of what click gives how much one run does.

    Raises:
        click.UsageError: there can be no such piece.
    """
    selecting = {name: given.pop(name) for name in _SELECTING}
    seconds = given.pop("run_for")
    try:
        selection = selection_of(timezone=source.timezone, region=source.region, **selecting)
    except ValueError as error:
        raise click.UsageError(f"nothing can be selected so: {error}") from None
    return Piece(selection, math.inf if seconds is None else seconds)


_SELECTING: Final = ("limit", "limit_conversations", "since", "until", "only")


class WorkerOptions(SendingOptions, frozen=True, kw_only=True):
    """What the user asks for, as click has checked it. Times are in seconds."""

    outbox: str
    lease: float
    drain: bool


_ROUND_TRIP: Final = 0.02
"""Seconds. Without any, the progress bar would have nothing to show."""


def destination(options: ImportOptions) -> str:
    """What an outbox is for: the address, or the sandbox, whose address is another each time."""
    return "the sandbox" if options.sandbox else (options.base_url or BASE_URL).rstrip("/")


@contextmanager
def target(options: ImportOptions) -> Iterator[tuple[str, str | TokenProvider]]:
    """The address and the token of the API, or of a sandbox that runs as long as the block.

    Raises:
        LocationsError: a variable that the file of locations names is not set.
    """
    if not options.sandbox:
        yield destination(options), options.own_token(options.outbox)
        return
    from leadconnector_async.sandbox import SandboxThread  # noqa: PLC0415 - a server's imports

    with SandboxThread(_sandbox_config(options)) as sandbox:
        token: str | TokenProvider = sandbox.token
        if options.locations is not None:
            own = {id_: StaticToken(one) for one, id_ in _sandbox_tokens(options.locations).items()}
            token = LocationTokens(options.locations, own)
        yield sandbox.url, token


def _sandbox_tokens(locations: Locations | None) -> dict[str, str]:
    """Tokens that open nothing but the sandbox, with their locations: each has its own quota."""
    listed = () if locations is None else locations.locations
    return {f"sandbox-{number}": id_ for number, id_ in enumerate(listed, 1)}


def _sandbox_config(options: ImportOptions) -> SandboxConfig:
    from leadconnector_async.sandbox import NO_LIMITS, Latency, Limits, SandboxConfig  # noqa: PLC0415 - a server's imports

    def limits(limit: RateLimit | None) -> Limits:
        if limit is None:
            return NO_LIMITS
        return Limits(max=limit.requests, interval=limit.interval, daily=limit.daily)

    return SandboxConfig(
        location_id=options.location or "",
        tokens=_sandbox_tokens(options.locations),
        trusting=True,
        latency=Latency(up=_ROUND_TRIP / 2, down=_ROUND_TRIP / 2),
        limits=limits(options.limit),
        location_limits={id_: limits(limit) for id_, limit in options.limits().items()},
    )


async def taken_as_known(options: ImportOptions) -> str | None:
    """Say which ids that the records name the sandbox takes as they are: it cannot look them up.

    Raises:
        OutboxError: the outbox cannot be read.
    """
    from leadconnector_async.outbox.workload import named_ids  # noqa: PLC0415 - for the sandbox only
    from leadconnector_async.sandbox.message_store import is_own_form, is_provider_form  # noqa: PLC0415 - the same

    named = await read_outbox(options.outbox or "", named_ids)
    given = {options.location, *_sandbox_tokens(options.locations).values()}
    counts = {
        "contact": sum(map(is_own_form, named.contacts)),
        "conversation": sum(map(is_own_form, named.conversations)),
        "provider": sum(map(is_provider_form, named.providers)),
        "location": sum(map(is_own_form, named.locations - given)),
    }
    some = [counted(n, noun) for noun, n in counts.items() if n]
    if not some:
        return None
    listed = " and ".join(filter(None, [", ".join(some[:-1]), some[-1]]))
    is_, them = ("is", "it") if sum(counts.values()) == 1 else ("are", "them")
    return f"{listed} that the records name {is_} taken as known: the sandbox cannot look {them} up"
