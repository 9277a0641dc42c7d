"""What whoever counts or traces is told: the border behind which statistics and telemetry stand."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct

from leadconnector_async.quota.window import Slot
from leadconnector_async.records.draft import TraceContext
from leadconnector_async.transport.base import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leadconnector_async.outbox.base import Settlement

_log: Final = logging.getLogger(__name__)


class Exchange(Struct, frozen=True, gc=False):
    """One request that left, or tried to. It began when its slot was taken."""

    location: str
    request: Request
    slot: Slot
    ended_at: float
    """In the loop's seconds."""
    response: Response | None
    error: BaseException | None
    """Why there is no response."""
    trace: TraceContext | None
    """Of whoever submitted the record that it is for; None: of whoever awaits it."""
    resends: int
    """How often the same was sent before."""


class Watched(Protocol):
    """What knows how things stand, at any time."""

    is_open: bool
    """Whether it still does."""

    def read(self) -> Any:  # noqa: ANN401 - a `Statistics`, which is made of what stands above
        """Return that, in whatever thread."""


class Observer:
    """Is told what happens, in the event loop: it is quick, and raises nothing.

    This one does nothing of it.
    """

    def trace(self) -> TraceContext | None:
        """Return the trace that the caller is in."""
        return None

    def attach(self, source: Watched) -> None:
        """Take gauges from it as long as it is there."""

    def staged(self, seqs: range, location: str | None = None) -> None:
        """Records have come into the outbox; with ``location``, one that was submitted."""

    def requested(self, exchange: Exchange) -> None:
        """A request has ended."""

    def committed(self, settlements: Sequence[Settlement], seconds: float) -> None:
        """These ends are durable, after a commit of so many seconds."""

    def ended(self, seq: int) -> None:
        """A record has a durable end, which another process may have given it."""

    def reconciled(self, result: str) -> None:
        """It was looked whether a record in doubt is there, with this result."""

    def paused(self, location: str, reason: str) -> None:
        """A location pauses, or cannot go on."""


class Telemetry(Protocol):
    """Makes observers, each for requests to one API."""

    def observer(self, base_url: str) -> Observer:
        """Make one."""


def guarded(observer: Observer) -> Observer:
    """The same, whose errors are logged: they are the program's own, such as its exporter's."""
    safe = Observer()
    for name in (name for name in vars(Observer) if not name.startswith("_")):
        setattr(safe, name, _guarded(getattr(observer, name)))
    return safe


def _guarded(tell: Callable[..., Any]) -> Callable[..., Any]:
    def told(*args: object) -> Any:  # noqa: ANN401 - a trace, or nothing
        try:
            return tell(*args)
        except Exception as error:  # noqa: BLE001 - whatever it is, it stops no import
            return _warn_once(type(error).__name__)

    return told


@lru_cache(maxsize=256)
def _warn_once(error: str) -> None:
    _log.warning("telemetry raised %s, and is told all the same: later ones are quiet", error)
