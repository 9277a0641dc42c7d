"""What to do next with a record: the policy applied to a verdict or a finding. No I/O, no clock.

=======================  =======================================================================
what is known            next step
=======================  =======================================================================
`Refused`                `End` rejected
`Barred`                 `Bar` the location; so does a `Renew` whose renewal did not help
never left               `Again` after a random wait; no attempt
`Unknown`, or no answer  ``look``: `Look` after the settling time · ``hold``: `End` unresolved ·
                         ``send``: `Again`, and unresolved after the last attempt
`Found`                  `End` sent
`Absent`                 `Look` once more, until the settling time has passed; then `Again`, and
                         rejected after the last attempt: it is proven not to be stored
`Impossible`             `End` unresolved
`Trouble`                `Look` again, and unresolved after several
=======================  =======================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from leadconnector_async._api.answers import Barred, Refused, Renew, Unknown
from leadconnector_async._api.search import Absent, Finding, Found, Impossible, Trouble
from leadconnector_async._messages import Refusal
from leadconnector_async._outbox.interface import State

if TYPE_CHECKING:
    from random import Random

    from leadconnector_async._engine.unsettled import Doubt
    from leadconnector_async._policy import Policy

MOST_TROUBLES: Final = 6
"""Looks that may fail, one after the other, before a record is given up as unresolved."""
FOUND: Final = "its answer was lost; found by looking"


class End(Struct, frozen=True):
    """The record's fate is known."""

    state: State
    message_id: str | None = None
    conversation_id: str | None = None
    reason: str | None = None
    detail: bytes | None = None


class Again(Struct, frozen=True):
    """Send the record (again) after ``delay`` seconds."""

    delay: float


class Look(Struct, frozen=True):
    """Look for the record ``delay`` seconds from now. ``reason`` is why it is in doubt."""

    delay: float
    reason: str


class Bar(Struct, frozen=True):
    """Stop this location."""

    refusal: Refusal


Step = End | Again | Look | Bar


def reason_of(refusal: Refusal) -> str:
    """A refusal without what differs per record, so that equal reasons can be counted."""
    code = f" [{refusal.canonical_code}]" if refusal.canonical_code else ""
    return f"{refusal.status} {refusal.message}{code}"


def after_verdict(
    verdict: Refused | Renew | Barred | Unknown,
    *,
    attempts: int,
    retry_after: float | None,
    policy: Policy,
    random: Random,
) -> Step:
    """The step after an answer that ends or stops the record. ``attempts`` counts this one.

    A `Throttled` request is not the record's: it pauses the location, and costs no attempt.
    """
    refusal = verdict.refusal
    match verdict:
        case Renew() | Barred():
            return Bar(refusal)
        case Refused():
            return End(
                State.REJECTED, reason=reason_of(refusal), detail=msgspec.json.encode(refusal)
            )
        case Unknown():
            wait = max(policy.delay(attempts, random), retry_after or 0.0)
            return in_doubt(reason_of(refusal), attempts=attempts, delay=wait, policy=policy)


def in_doubt(reason: str, *, attempts: int, delay: float, policy: Policy) -> Step:
    """The step for a record that may be stored. ``attempts`` counts this one."""
    if policy.on_unknown == "look":
        return Look(policy.look_after[0], reason)
    if policy.on_unknown == "hold" or attempts >= policy.attempts:
        return held(reason)
    return Again(delay)


def held(reason: str) -> End:
    """Give up a record that may be stored."""
    return End(State.UNRESOLVED, reason=f"may have been stored: {reason}")


def after_look(  # noqa: PLR0911 - a row of the table each
    finding: Finding, doubt: Doubt, *, attempts: int, policy: Policy, random: Random
) -> Step:
    """The step after a look. ``doubt.looks`` and ``doubt.troubles`` count this one."""
    match finding:
        case Found(message_id, conversation_id):
            return End(State.SENT, message_id, conversation_id, FOUND)
        case Impossible(reason):
            return End(
                State.UNRESOLVED,
                reason=f"may have been stored ({doubt.reason}), and cannot be looked for: {reason}",
            )
        case Trouble(reason):
            if doubt.troubles >= MOST_TROUBLES:
                return End(State.UNRESOLVED, reason=f"may have been stored: {reason}")
            delay = min(policy.backoff_cap, policy.backoff * 2.0**doubt.troubles)
            return Look(delay, doubt.reason)
        case Absent():
            if doubt.looks < len(policy.look_after):
                earlier, later = policy.look_after[doubt.looks - 1 : doubt.looks + 1]
                return Look(max(later - earlier, 0.0), doubt.reason)
            if attempts >= policy.attempts:
                return End(State.REJECTED, reason=f"{doubt.reason} (in {attempts} attempts)")
            return Again(policy.delay(attempts, random) if attempts else 0.0)
