"""What to do next with a record: the policy applied to a classification or a finding.

No I/O, no clock.

=============================  =====================================================================
what is known                  next step
=============================  =====================================================================
`Refused`                      `Settle` rejected
`Forbidden`                    `StopLocation` the location
never left                     `Retry` after a random wait; no attempt
`Indeterminate`, or no answer  ``look``: `Reconcile` after the settling time · ``hold``: `Settle`
                               unresolved · ``send``: `Retry`, and unresolved after the last attempt
`Found`                        `Settle` sent
`NotFound`                     `Reconcile` once more, until the settling time has passed; then
                               `Retry`, and rejected after the last attempt: it is proven not to be
                               stored
`Inconclusive`                 `Settle` unresolved
`LookupFailed`                 `Reconcile` again, and unresolved after several
=============================  =====================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from leadconnector_async.api.reconciliation import (
    Finding,
    Found,
    Inconclusive,
    LookupFailed,
    NotFound,
)
from leadconnector_async.api.responses import Forbidden, Indeterminate, Refused
from leadconnector_async.models import Refusal
from leadconnector_async.outbox.base import State

if TYPE_CHECKING:
    from random import Random

    from leadconnector_async.delivery.lane import InDoubt
    from leadconnector_async.policy import Policy

MAX_LOOKUP_FAILURES: Final = 6
"""Looks that may fail, one after the other, before a record is given up as unresolved."""

FOUND: Final = "its answer was lost; found by looking"


class Settle(Struct, frozen=True):
    """The record's fate is known."""

    state: State
    message_id: str | None = None
    conversation_id: str | None = None
    reason: str | None = None
    detail: bytes | None = None
    exhausted: bool = False
    """Given up after the last attempt that the policy allows."""


class Retry(Struct, frozen=True):
    """Send the record (again) after ``delay`` seconds."""

    delay: float


class Reconcile(Struct, frozen=True):
    """Look for the record ``delay`` seconds from now. ``reason`` is why it is in doubt."""

    delay: float
    reason: str
    retry_after: float = 0.0
    """Seconds that the answer asked for, before the record is sent again."""


class StopLocation(Struct, frozen=True):
    """Stop this location."""

    refusal: Refusal


Decision = Settle | Retry | Reconcile | StopLocation


def reason_of(refusal: Refusal) -> str:
    """A refusal without what differs per record, so that equal reasons can be counted."""
    code = f" [{refusal.canonical_code}]" if refusal.canonical_code else ""
    return f"{refusal.status} {refusal.message}{code}"


def after_response(
    classification: Refused | Forbidden | Indeterminate,
    *,
    attempts: int,
    retry_after: float | None,
    policy: Policy,
    random: Random,
) -> Decision:
    """The step after an answer that ends or stops the record. ``attempts`` counts this one.

    A `Throttled` request is not the record's: it pauses the location, and costs no attempt.
    """
    refusal = classification.refusal
    match classification:
        case Forbidden():
            return StopLocation(refusal)
        case Refused():
            detail = msgspec.json.encode(refusal)
            return Settle(State.REJECTED, reason=reason_of(refusal), detail=detail)
        case Indeterminate():
            asked, reason = retry_after or 0.0, reason_of(refusal)
            wait = max(policy.delay(attempts, random), asked)
            return in_doubt(reason, attempts=attempts, delay=wait, policy=policy, retry_after=asked)


def in_doubt(
    reason: str, *, attempts: int, delay: float, policy: Policy, retry_after: float = 0.0
) -> Decision:
    """The step for a record that may be stored. ``attempts`` counts this one."""
    if policy.on_unknown == "look":
        return Reconcile(policy.look_after[0], reason, retry_after)
    if policy.on_unknown == "hold" or attempts >= policy.attempts:
        return unresolved(reason)
    return Retry(delay)


def unresolved(reason: str) -> Settle:
    """Give up a record that may be stored."""
    return Settle(State.UNRESOLVED, reason=f"may have been stored: {reason}")


def exhausted(reason: str, attempts: int) -> Settle:
    """Give up a record that is not stored, after its last attempt."""
    return Settle(State.REJECTED, reason=f"{reason} (in {attempts} attempts)", exhausted=True)


def after_search(  # noqa: PLR0911 - a row of the table each
    finding: Finding, doubt: InDoubt, *, attempts: int, policy: Policy, random: Random
) -> Decision:
    """The step after a look. ``doubt.looks`` and ``doubt.troubles`` count this one."""
    match finding:
        case Found(message_id, conversation_id):
            return Settle(State.SENT, message_id, conversation_id, FOUND)
        case Inconclusive(reason):
            return Settle(
                State.UNRESOLVED,
                reason=f"may have been stored ({doubt.reason}), and cannot be looked for: {reason}",
            )
        case LookupFailed(reason):
            if doubt.lookup_failures >= MAX_LOOKUP_FAILURES:
                return Settle(State.UNRESOLVED, reason=f"may have been stored: {reason}")
            delay = min(policy.backoff_cap, policy.backoff * 2.0**doubt.lookup_failures)
            return Reconcile(delay, doubt.reason)
        case NotFound():
            if doubt.searches < len(policy.look_after):
                earlier, later = policy.look_after[doubt.searches - 1 : doubt.searches + 1]
                return Reconcile(max(later - earlier, 0.0), doubt.reason)
            if attempts >= policy.attempts:
                return exhausted(doubt.reason, attempts)
            wait = policy.delay(attempts, random) if attempts else 0.0
            return Retry(max(wait, doubt.retry_after - policy.look_after[-1]))
