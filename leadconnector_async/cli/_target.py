"""Where an import sends to: the API, or a sandbox inside this program."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from leadconnector_async._api.requests import BASE_URL
from leadconnector_async._client import LeadConnector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leadconnector_async.cli._settings import ImportOptions
    from leadconnector_async.sandbox import SandboxConfig

_ROUND_TRIP: Final = 0.02
"""Seconds. Without any, the progress bar would have nothing to show."""


class Target(NamedTuple):
    """An address and a token that it takes."""

    base_url: str
    token: str

    def __repr__(self) -> str:
        return f"Target({self.base_url!r})"


def destination(options: ImportOptions) -> str:
    """What an outbox is for: the address, or the sandbox, whose address is another each time."""
    return "the sandbox" if options.sandbox else (options.base_url or BASE_URL).rstrip("/")


@contextmanager
def target(options: ImportOptions) -> Iterator[Target]:
    """The API, or a sandbox that runs as long as the block."""
    if not options.sandbox:
        yield Target(destination(options), options.token or "")
        return
    from leadconnector_async.sandbox import SandboxThread  # noqa: PLC0415 - a server's imports

    with SandboxThread(_sandbox_config(options)) as sandbox:
        yield Target(sandbox.url, sandbox.token)


def _sandbox_config(options: ImportOptions) -> SandboxConfig:
    from leadconnector_async.sandbox import (  # noqa: PLC0415 - a server's imports
        NO_LIMITS,
        Latency,
        Limits,
        SandboxConfig,
    )

    limit = options.limit()
    return SandboxConfig(
        location_id=options.location or "",
        latency=Latency(up=_ROUND_TRIP / 2, down=_ROUND_TRIP / 2),
        limits=NO_LIMITS
        if limit is None
        else Limits(max=limit.requests, interval=limit.interval, daily=limit.daily),
    )


def client(options: ImportOptions, at: Target) -> LeadConnector:
    """The client for a target.

    Raises:
        click.UsageError: the address or the token cannot be one.
    """
    try:
        return LeadConnector(
            at.token,
            location_id=options.location,
            base_url=at.base_url,
            limit=options.limit(),
            policy=options.policy(),
            timeouts=options.timeouts(),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
