"""Where an import sends to: the API, or a sandbox inside this program."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from leadconnector_async.api.endpoints import BASE_URL
from leadconnector_async.auth.provider import StaticToken
from leadconnector_async.cli.format import counted
from leadconnector_async.client import LeadConnector
from leadconnector_async.locations.token_sources import LocationTokens, tokens_of
from leadconnector_async.outbox.open import read_outbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.auth.provider import TokenProvider
    from leadconnector_async.cli.import_options import ImportOptions
    from leadconnector_async.locations.definitions import Locations
    from leadconnector_async.quota.limits import RateLimit
    from leadconnector_async.sandbox import SandboxConfig

_ROUND_TRIP: Final = 0.02
"""Seconds. Without any, the progress bar would have nothing to show."""


class ApiTarget(NamedTuple):
    """An address, and a token that it takes, or a provider of them."""

    base_url: str
    token: str | TokenProvider

    def __repr__(self) -> str:
        return f"Target({self.base_url!r})"


def destination(options: ImportOptions) -> str:
    """What an outbox is for: the address, or the sandbox, whose address is another each time."""
    return "the sandbox" if options.sandbox else (options.base_url or BASE_URL).rstrip("/")


@contextmanager
def target(options: ImportOptions) -> Iterator[ApiTarget]:
    """The API, or a sandbox that runs as long as the block.

    Raises:
        LocationsError: a variable that the file of locations names is not set.
    """
    if not options.sandbox:
        yield ApiTarget(destination(options), api_token(options.token, options.locations))
        return
    from leadconnector_async.sandbox import SandboxThread  # noqa: PLC0415 - a server's imports

    with SandboxThread(_sandbox_config(options)) as sandbox:
        yield ApiTarget(sandbox.url, _sandbox_token(sandbox.token, options.locations))


def api_token(token: str | None, locations: Locations | None) -> str | TokenProvider:
    """What the API is to be asked with.

    Raises:
        LocationsError: a variable that the file of locations names is not set.
    """
    return (token or "") if locations is None else tokens_of(locations)


def _sandbox_token(token: str, locations: Locations | None) -> str | TokenProvider:
    """The sandbox's own token; with a file of locations, one for each of those listed."""
    if locations is None:
        return token
    tokens = _sandbox_tokens(locations)
    return LocationTokens(locations, {id_: StaticToken(own) for own, id_ in tokens.items()})


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
        limits=limits(options.limit()),
        location_limits={id_: limits(limit) for id_, limit in options.limits().items()},
    )


async def taken_as_known(options: ImportOptions, outbox: str) -> str | None:
    """Say which ids that the records name the sandbox takes as they are: it cannot look them up.

    Raises:
        OutboxError: the outbox cannot be read.
    """
    from leadconnector_async.outbox.workload import named_ids  # noqa: PLC0415 - for the sandbox only
    from leadconnector_async.sandbox.message_store import is_own_form, is_provider_form  # noqa: PLC0415 - the same

    named = await read_outbox(outbox, named_ids)
    given = {options.location, *_sandbox_tokens(options.locations).values()}
    counts = [
        counted(sum(map(is_own_form, named.contacts)), "contact"),
        counted(sum(map(is_own_form, named.conversations)), "conversation"),
        counted(sum(map(is_provider_form, named.providers)), "provider"),
        counted(sum(map(is_own_form, named.locations - given)), "location"),
    ]
    some = [words for words in counts if not words.startswith("0 ")]
    if not some:
        return None
    listed = " and ".join(filter(None, [", ".join(some[:-1]), some[-1]]))
    return f"{listed} that the records name are taken as known: the sandbox cannot look them up"


def client(options: ImportOptions, at: ApiTarget) -> LeadConnector:
    """The client for a target.

    Raises:
        click.UsageError: the address or the token cannot be one.
    """
    try:
        return LeadConnector(
            at.token,
            location_id=options.location,
            base_url=at.base_url,
            version=options.api_version,
            limit=options.limit(),
            limits=options.limits(),
            policy=options.policy(),
            timeouts=options.timeouts(),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
