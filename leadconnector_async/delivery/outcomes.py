"""What follows a request: an outcome, a wait of the lane, or the end of its location."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from math import inf
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from msgspec.structs import replace

from leadconnector_async import errors
from leadconnector_async.api.responses import read_refusal, retry_after
from leadconnector_async.delivery import decisions
from leadconnector_async.delivery.lane import InDoubt, Lane
from leadconnector_async.models import Receipt, Refusal
from leadconnector_async.outbox.base import Claim, Settlement, State
from leadconnector_async.transport.base import Response, WithheldError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadconnector_async.delivery.decisions import Settle
    from leadconnector_async.delivery.results import RunStats
    from leadconnector_async.delivery.scheduler import LocationState
    from leadconnector_async.session import ApiSession


_log: Final = logging.getLogger(__name__)


class LookupStore(Protocol):
    """Where lookups are kept."""

    async def get_lookups(self, state: LocationState, names: Sequence[str]) -> dict[str, str]:
        """Those of the lookups that are known."""

    async def put_lookups(self, state: LocationState, lookups: Mapping[str, str]) -> None:
        """Write lookups down."""

    async def fetch_file(self, digest: str) -> str | None:
        """See `Outbox.fetch_file`."""


class LaneControl(LookupStore, Protocol):
    """Where what follows a request is handed in."""

    def rest(self, state: LocationState, lane: Lane, seconds: float) -> None:
        """Consider the lane when some time has passed."""

    def close(self, state: LocationState, error: errors.LeadConnectorError) -> None:
        """Stop a location alone."""

    def settle(self, settlement: Settlement) -> None:
        """Write a fate down with the next commit."""

    async def others(self, claim: Claim) -> set[str]:
        """Message ids that belong to other records of the claim's lane."""


INTERRUPTED: Final = "the run ended before its answer came"


def day_spent(state: LocationState) -> errors.DailyQuotaSpentError:
    """Why a location has to stop when its day is used up."""
    message = f"the day's quota of location {state.name} is spent"
    return errors.DailyQuotaSpentError(Refusal(status=429, message=message))


REASONS: Final[Mapping[type[errors.LeadConnectorError], str]] = MappingProxyType(
    {
        errors.AccessError: "no_access",
        errors.DailyQuotaSpentError: "day_spent",
        errors.ThrottledError: "given_up",
    }
)
"""Words for why a location cannot go on; `TAKEN_OVER` is any other one."""

TAKEN_OVER: Final = "taken_over"


def shown(error: errors.LeadConnectorError) -> str:
    """Name an error without the API's own words, which may quote a person's number."""
    if not isinstance(error, errors.RefusedError):
        return type(error).__name__
    code = f" {error.canonical_code}" if error.canonical_code else ""
    return f"{type(error).__name__} ({error.status}{code})"


def first_of(group: BaseExceptionGroup[Exception]) -> Exception:
    """One cause out of a tree of them: the workers share their fate."""
    for error in group.exceptions:
        return first_of(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError(group)


class OutcomeHandler:
    """Makes settlements, and carries out what follows a request, whatever the request was for."""

    def __init__(self, session: ApiSession, control: LaneControl, stats: RunStats) -> None:
        self.session = session
        self.control = control
        self.stats = stats
        self.random: Random = Random()  # noqa: S311 - jitter, not secrets
        self._loop = asyncio.get_running_loop()

    def stored(
        self, claim: Claim, receipt: Receipt, lookups: Mapping[str, str] | None = None
    ) -> None:
        """The API answered with a receipt: the end of nearly all."""
        self.stats.sent += 1
        self.control.settle(
            Settlement(
                claim,
                State.SENT,
                time.time_ns() // 1_000_000,
                claim.attempts + 1,
                receipt.message_id,
                receipt.conversation_id,
                receipt.email_message_id,
                lookups=lookups,
            )
        )

    def ended(self, claim: Claim, end: Settle, lookups: Mapping[str, str] | None = None) -> None:
        """Any other end: refused, found by looking, or given up."""
        if end.state is State.SENT:
            self.stats.sent += 1
            self.stats.found += 1
            _log.info("record %d found stored", claim.seq)
        elif end.state is State.REJECTED:
            self.stats.rejected += 1
            if end.exhausted:
                _log.warning("record %d given up: not stored after its last attempt", claim.seq)
        else:
            self.stats.unresolved += 1
            _log.warning("record %d given up: unresolved, may be stored or not", claim.seq)
        said = end.message_id, end.conversation_id, None, end.reason, end.detail, lookups
        at = time.time_ns() // 1_000_000
        self.control.settle(Settlement(claim, end.state, at, claim.attempts, *said))

    def take_over(self, state: LocationState, unknown: list[Claim]) -> None:
        """Apply the policy to what an earlier owner of the location claimed, and perhaps sent."""
        _log.info("resume: location %s has %d unknown of an earlier run", state.name, len(unknown))
        if self.session.policy.on_unknown == "hold":
            for claim in unknown:
                self.ended(claim, decisions.unresolved(INTERRUPTED))
            return
        state.take_in(unknown)
        if self.session.policy.on_unknown == "look":
            for claim in unknown:
                claim.note(f"in doubt: {INTERRUPTED}")
                state.lanes[claim.lane].doubts[claim.seq] = InDoubt(INTERRUPTED)

    def take(
        self, state: LocationState, lane: Lane, claim: Claim, step: decisions.Decision | None
    ) -> None:
        """Take the step after a request for the lane's first record."""
        match step:
            case None:
                state.ready.insert(0, lane)
                return
            case decisions.Settle():
                state.take_out(lane, claim)
                self.ended(claim, step)
            case decisions.Reconcile(delay, reason, retry_after):
                # Before anything that may raise, as a log's handler: else it would be given back.
                lane.doubts[claim.seq] = InDoubt(reason, retry_after=retry_after)
                _log.info("record %d in doubt: is looked for in %.1f s", claim.seq, delay)
            case decisions.StopLocation(refusal):
                self.stop_location(state, lane, refusal)
                return
        self.go_on(state, lane, step)

    def go_on(self, state: LocationState, lane: Lane, step: decisions.Decision | None) -> None:
        """Let the lane go on at once, or after the delay of the step."""
        if isinstance(step, decisions.Retry | decisions.Reconcile) and step.delay > 0:
            self.control.rest(state, lane, step.delay)
        else:
            state.go_on(lane)

    def not_sent(self, state: LocationState, lane: Lane) -> None:
        """Nothing left: the request is made again after a random wait, once a token may be had."""
        state.quota.pause(self.session.token_due(state.name))
        self.go_on(state, lane, decisions.Retry(self.session.policy.delay(1, self.random)))

    def pause(self, state: LocationState, lane: Lane, response: Response) -> None:
        """Hold the location back after a 429, which is not the record's.

        One that gets nothing else for longer than the policy's patience stops alone: at that time,
        where the pause lasts longer.
        """
        self.stats.throttled += 1
        lane.claims[0].note("answered 429: the location waits")
        quota, now = state.quota, self._loop.time()
        goes_on = self.session.pause(state.name, quota, self.retry_after(response))
        state.ready.insert(0, lane)
        ends = quota.throttled_since + self.session.policy.patience
        if now > ends:
            self._give_up(state, response, quota.throttled_since)
        elif ends < goes_on < inf:
            self._loop.call_at(ends, self._give_up, state, response, quota.throttled_since)

    def _give_up(self, state: LocationState, response: Response, since: float) -> None:
        """Stop a location that got nothing but 429 for longer than the policy's patience."""
        if state.quota.throttled_since == since:
            refusal = read_refusal(response.status, response.body)
            began = datetime.now(UTC) - timedelta(seconds=self._loop.time() - since)
            message = (
                f"location {state.name} answers 429 to everything since {began:%Y-%m-%d %H:%M:%S} "
                f"UTC: {refusal.message}. Another program may use up its quota: run again later"
            )
            self.control.close(state, errors.ThrottledError(replace(refusal, message=message)))

    def hold_back(
        self, state: LocationState, lane: Lane, error: errors.RefusedError | WithheldError
    ) -> None:
        """No request may be made: without a token, or a lease, the location stops.

        Where the day is spent, the dispatcher decides.
        """
        state.ready.insert(0, lane)
        if isinstance(error, errors.AccessError):
            self.control.close(state, error)
        elif isinstance(error, WithheldError):
            self.control.close(
                state, errors.LeaseLostError(f"location {state.name} was taken over")
            )

    def check_provider(self, state: LocationState, claim: Claim) -> None:
        """Stop the location where all records of the claim's provider fail, as this one has."""
        provider = state.fails(claim)
        if provider is not None:
            message = (
                f"conversationProviderId {provider}: the API answers 500 to its records, and has "
                "stored none: correct the id, or give the token of the app that owns the "
                "provider, and run again"
            )
            self.control.close(state, errors.AccessError(Refusal(status=500, message=message)))

    def stop_location(self, state: LocationState, lane: Lane, refusal: Refusal) -> None:
        """Stop the location."""
        state.ready.insert(0, lane)
        self.control.close(state, errors.AccessError(refusal))

    def retry_after(self, response: Response) -> float | None:
        """Seconds that an answer asks to wait, where it does."""
        return retry_after(response, self.session.policy.retry_after_cap)
