"""The options of ``leadconnector import`` as the library's own objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from leadconnector_async.cli.option_types import OFF, QuotaValue
from leadconnector_async.importer import reading_options
from leadconnector_async.locations.definitions import Locations
from leadconnector_async.policy import ContactMode, Policy
from leadconnector_async.quota.limits import RateLimit
from leadconnector_async.records.validation import NEED_PROVIDER
from leadconnector_async.sources import SourceOptions
from leadconnector_async.transport.aiohttp_session import Timeouts

if TYPE_CHECKING:
    from collections.abc import Mapping


class ImportOptions(Struct, frozen=True, kw_only=True):
    """What the user asks for, as click has checked it. Times are in seconds."""

    sources: tuple[str, ...]
    source: SourceOptions
    location: str | None
    outbox: str | None
    token: str | None
    locations: Locations | None
    base_url: str | None
    api_version: str | None
    sandbox: bool
    dry_run: bool
    concurrency: int | None
    connect_timeout: float
    timeout: float
    attempts: int
    on_unknown: Literal["look", "send", "hold"]
    look_after: float
    no_stamp: bool
    patience: float
    contacts: ContactMode
    provider: str | None
    wait: bool
    quota: QuotaValue | str | None
    daily: int | None
    as_json: bool
    quiet: bool

    async def rehearsing(self) -> SourceOptions:
        """How to read without writing anything. What earlier runs kept can be named."""
        reading = await reading_options(self.source, self.outbox or "")
        kept = () if self.outbox is None or reading.spool is None else (reading.spool,)
        return replace(reading, files=(*reading.files, *kept), spool=None)

    def policy(self) -> Policy:
        """How patient to be."""
        return Policy(
            attempts=self.attempts,
            on_unknown=self.on_unknown,
            look_after=(self.look_after / 4, self.look_after),
            stamp_alt_id=not self.no_stamp,
            patience=self.patience,
            contacts=self.contacts,
            wait_for_day=self.wait,
        )

    def limit(self) -> RateLimit | None:
        """The quota to assume until the API tells. The sandbox has one only if it is asked for."""
        if self.quota is None and self.daily is None and self.sandbox:
            return None
        if self.quota == OFF:
            return RateLimit(requests=10**9, daily=self.daily) if self.daily else None
        usual = RateLimit()
        daily = self.daily or usual.daily
        if isinstance(self.quota, QuotaValue):
            return RateLimit(self.quota.requests, self.quota.seconds, daily)
        return RateLimit(usual.requests, usual.interval, daily)

    def limits(self) -> dict[str, RateLimit | None]:
        """The same for each location of the file of locations."""
        return {} if self.locations is None else self.locations.limits(self.limit())

    def providers(self, location: str) -> Mapping[str, str]:
        """The conversation provider by type of message: the file of locations goes first."""
        common = dict.fromkeys(NEED_PROVIDER, self.provider) if self.provider else {}
        own = {} if self.locations is None else self.locations.providers(location)
        return {**common, **own}

    def timeouts(self) -> Timeouts:
        """The limits on one request."""
        return Timeouts(connect=self.connect_timeout, read=self.timeout)

    def __repr__(self) -> str:
        return f"ImportOptions({', '.join(self.sources)})"
