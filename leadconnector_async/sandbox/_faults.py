"""Which request meets which fault: rules with a probability, a count, or a target; all seeded."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Final, Literal, get_args

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

WireKind = Literal["drop", "reset", "hang", "down", "cut", "overlong", "huge", "endless"]
"""What happens to the connection.

drop      it is closed without an answer
reset     the same, with a TCP reset
hang      no answer for ``seconds``, then drop
down      drop; the port is closed for ``seconds`` (connections are refused), then open again
cut       Content-Length promises more than is sent before the close
overlong  Content-Length promises less than is sent
huge      a body of 100 MB
endless   a chunked body that goes on for ``seconds``
"""

ReplyKind = Literal[
    "429",
    "500",
    "502",
    "503",
    "504",
    "garbage",
    "html",
    "no_id",
    "id_type",
    "rates_garbage",
    "rates_contradictory",
    "retry_past",
    "retry_far",
    "redirect_302",
    "redirect_307",
]
"""What is answered instead.

429                  with ``Retry-After: seconds`` where ``seconds`` is given
500 503 504          the API's JSON error body; 502 is a proxy's HTML page
garbage              200, and bytes that are no JSON
html                 200, and an HTML page
no_id                200 without a ``messageId``
id_type              200, and ``messageId`` is a number
rates_garbage        the true answer; the rate headers are no figures
rates_contradictory  the true answer; the rate headers contradict each other
retry_past           429, and Retry-After is a date long gone
retry_far            429, and Retry-After is a year
redirect_302/307     to ``target``
"""

When = Literal["before", "after"]
FaultKind = WireKind | ReplyKind
WIRE_KINDS: Final[frozenset[str]] = frozenset(get_args(WireKind))
FAULT_KINDS: Final[tuple[str, ...]] = (*get_args(WireKind), *get_args(ReplyKind))


class Fault(Struct, frozen=True):
    """One rule: which requests meet which fault.

    ``when`` is before the message is stored (it is not, and an answer that claims so is made up)
    or after. A rule looks at the requests to ``endpoint`` ("*" for all), in ``location`` and with
    ``alt_id`` where these are given. Of those it picks the ``nth`` ones, counted from 1, or, with
    no ``nth``, each with ``probability``; ``times`` bounds how often. ``seconds`` and ``target``
    are explained with the kinds.
    """

    kind: FaultKind
    when: When = "before"
    probability: float = 1.0
    nth: tuple[int, ...] = ()
    times: int | None = None
    endpoint: str = "inbound"
    location: str | None = None
    alt_id: str | None = None
    seconds: float | None = None
    target: str = "https://elsewhere.invalid/"

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            raise ValueError(f"unknown fault {self.kind!r}: one of {', '.join(FAULT_KINDS)}")
        if self.when not in ("before", "after"):
            raise ValueError(f"a fault is 'before' or 'after' storing, not {self.when!r}")
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"a probability is from 0 to 1, not {self.probability}")


class _Armed:
    """A rule with what it has seen so far."""

    def __init__(self, fault: Fault, seed: str) -> None:
        self.fault = fault
        self._met = 0
        self._fired = 0
        self._random = Random(seed)  # noqa: S311 - reproducible, not secret

    def _concerns(self, endpoint: str, location: str, alt_id: str | None) -> bool:
        fault = self.fault
        return (
            fault.endpoint in ("*", endpoint)
            and fault.location in (None, location)
            and fault.alt_id in (None, alt_id)
        )

    def wants(self, endpoint: str, location: str, alt_id: str | None) -> bool:
        """Look at a request; True if this rule picks it."""
        if not self._concerns(endpoint, location, alt_id):
            return False
        self._met += 1
        fault = self.fault
        picked = self._met in fault.nth if fault.nth else self._random.random() < fault.probability
        return picked and (fault.times is None or self._fired < fault.times)

    def fire(self) -> Fault:
        """Count that the rule was applied."""
        self._fired += 1
        return self.fault


class FaultPlan:
    """The rules in their order: the first that picks a request wins, all of them count it."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self.fired: Counter[str] = Counter()
        self._seed = seed
        self._armed: tuple[_Armed, ...] = ()
        self.set(faults)

    def __bool__(self) -> bool:
        return bool(self._armed)

    def set(self, faults: Iterable[Fault]) -> None:
        """Replace all rules. Each draws from a sequence of its own."""
        self._armed = tuple(
            _Armed(fault, f"{self._seed}:{index}") for index, fault in enumerate(faults)
        )

    def choose(self, endpoint: str, location: str, alt_id: str | None) -> Fault | None:
        """The fault that this request meets, if any."""
        wanting = [armed for armed in self._armed if armed.wants(endpoint, location, alt_id)]
        if not wanting:
            return None
        fault = wanting[0].fire()
        self.fired[fault.kind] += 1
        return fault
