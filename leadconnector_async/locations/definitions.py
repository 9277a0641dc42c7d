"""What is known of locations. Plain values: no file, no variable and no command is read here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from leadconnector_async.quota.limits import RateLimit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NOTHING: Final[Mapping[str, str]] = {}

_ENDLESS: Final = 10**9
"""Requests in an interval that no quota allows: stands for none, beside one of the day."""


class FromVariable(Struct, frozen=True):
    """A token in an environment variable."""

    name: str


class FromCommand(Struct, frozen=True):
    """A token that a command prints."""

    argv: tuple[str, ...]

    def __repr__(self) -> str:
        return f"FromCommand({len(self.argv)} words)"


class Installed(Struct, frozen=True):
    """A token of the app's own installation there, first refreshed with that of a variable."""

    variable: str


class FromCompany(Struct, frozen=True):
    """A token that the company's token gives."""

    company: str


Source = FromVariable | FromCommand | Installed | FromCompany


class AppSettings(Struct, frozen=True):
    """An OAuth app. ``store`` is the path or URL of its token store; None for the outbox's."""

    client_id: str
    secret_variable: str
    store: str | None


class StatedRate(Struct, frozen=True):
    """So many requests in so many seconds."""

    requests: int
    interval: float


class Location(Struct, frozen=True, kw_only=True):
    """One location. ``pace`` and ``daily`` (requests) are None where they are not known."""

    id: str
    source: Source
    pace: StatedRate | None = None
    daily: int | None = None
    providers: dict[str, str] = field(default_factory=dict)
    """The conversation provider of a message type."""

    def limit(self, default: RateLimit | None) -> RateLimit | None:
        """The quota to assume: the location's own figures, and the default's for the others."""
        if self.pace is None and self.daily is None:
            return default
        usual = default or RateLimit(requests=_ENDLESS, daily=None)
        pace = self.pace or StatedRate(usual.requests, usual.interval)
        return RateLimit(pace.requests, pace.interval, self.daily or usual.daily)


class Locations(Struct, frozen=True, kw_only=True):
    """All locations of a file, by their ids in its order. ``companies`` maps to variables."""

    file: str
    locations: dict[str, Location]
    app: AppSettings | None = None
    companies: dict[str, str] = field(default_factory=dict)

    @property
    def only(self) -> str | None:
        """The one location, if there is just one."""
        return next(iter(self.locations)) if len(self.locations) == 1 else None

    def providers(self, location_id: str) -> Mapping[str, str]:
        """The conversation provider of each message type that has one in this location."""
        location = self.locations.get(location_id)
        return _NOTHING if location is None else location.providers

    def limit(self, location_id: str, default: RateLimit | None) -> RateLimit | None:
        """The quota to assume for a location, whether it is listed or not."""
        location = self.locations.get(location_id)
        return default if location is None else location.limit(default)

    def limits(self, default: RateLimit | None) -> dict[str, RateLimit | None]:
        """The quota to assume for each location that is listed."""
        return {id_: location.limit(default) for id_, location in self.locations.items()}

    def missing(self, location_ids: Iterable[str]) -> dict[str, str]:
        """Those that are not listed, each with what to do about it."""
        return {id_: self.unlisted(id_) for id_ in location_ids if id_ not in self.locations}

    def unlisted(self, location_id: str) -> str:
        """What to say of a location that is not in the file."""
        return (
            f"location {location_id} is not in {self.file}: add a [[location]] with this id "
            "and its token, and run again"
        )
