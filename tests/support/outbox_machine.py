"""An outbox of any store beside a model of it: what is done to one is done to the other."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import Struct
from outbox_kit import AT, fate

from leadconnector_async.errors import LeaseLostError
from leadconnector_async.outbox.base import Settlement, State
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.quota.limits import QuotaSnapshot
from leadconnector_async.records.draft import Draft

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from outbox_places import Place

    from leadconnector_async.outbox.base import Claim, Lease, Outbox

T = TypeVar("T")
LOCATIONS = ("l1", "l2")
NAMES = ("n1", "n2")
OPEN = State.PENDING, State.CLAIMED
Key = tuple[str, bytes]
Counts = tuple[int, int, int, int]
"""Staged, skipped, refused, copies."""


class Model(Struct):
    """What should be known of a record."""

    draft: Draft
    state: State = State.PENDING
    is_published: bool = True
    is_of_source: bool = False
    attempts: int = 0
    former: set[bytes | None] = set()
    """Lines that it was before it was mended."""

    def was(self, draft: Draft) -> bool:
        """Tell whether it is, or was, the line of a draft."""
        return draft.raw == self.draft.raw or draft.raw in self.former


class Pass:
    """A reading, and how the model follows it."""

    def __init__(self, source: int) -> None:
        self.source_pass = SourcePass(source)
        self.equal: defaultdict[Key, int] = defaultdict(int)
        self.met: set[Key] = set()

    def is_first(self, key: Key) -> bool:
        """Meet a record: whether this is the first time."""
        is_first = key not in self.met
        self.met.add(key)
        return is_first


def numbered(draft: Draft, number: int) -> Key:
    """The key of one among equal records."""
    return draft.location, draft.key + (number.to_bytes(2, "big") if number > 1 else b"")


def end_of(draft: Draft) -> State:
    """The state in which a draft is staged."""
    if draft.problem is not None:
        return State.REJECTED
    return State.PENDING if draft.left_out is None else State.LEFT_OUT


def draft_of(choice: tuple[str, str, int, int, bool, int]) -> Draft:
    """A draft out of few keys, bodies and dates. Equal content has an equal place and body."""
    location, key, lane, date, counted, body = choice
    if counted:
        lane, date = ord(key) % 3, ord(key) % 5
    problem = f"problem {body}" if body < 2 else None
    left_out = "drafts" if body == 2 else None
    payload = b'{"message":"%d"}' % (9 if counted else body) if body > 2 else None
    name = f"{'c' if counted else 'i'}{key}".encode()
    raw = b"%b %d" % (name, body)
    return Draft(location, lane, date, name, counted, payload, 1, raw, problem, None, left_out)


CHOICES = st.builds(
    draft_of,
    st.tuples(
        st.sampled_from(LOCATIONS),
        st.sampled_from("abcdefgh"),
        st.integers(-1, 2),
        st.integers(0, 3),
        st.booleans(),
        st.integers(0, 5),
    ),
)
ENDS = st.sampled_from([State.SENT, State.SENT, State.REJECTED, State.UNRESOLVED, State.PENDING])


class OutboxMachine(RuleBasedStateMachine):
    """Every step is done to an outbox and to the model, and both must come to the same."""

    place: Place
    outbox: Outbox

    def __init__(self, store: type[Place]) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self.place = store(Path(self.folder.name))
        self.model: dict[Key, Model] = {}
        self.held: dict[Key, Claim] = {}
        self.leases: dict[str, Lease] = {}
        self.lost: list[tuple[Lease, list[Claim]]] = []
        self.lookups: dict[str, dict[str, str]] = {name: {} for name in LOCATIONS}
        self.quotas: dict[str, QuotaSnapshot] = {}
        self.outbox = self.run(self.place.open())
        self.go_on()

    def run(self, work: Coroutine[None, None, T]) -> T:
        """Run in the loop that the outbox is bound to."""
        return self.runner.run(work)

    def go_on(self) -> None:
        """Begin a reading, and take the leases of all locations."""
        self.reading = Pass(0)
        for name in LOCATIONS:
            self.take_over(name)

    @abstractmethod
    def stage_one(self, draft: Draft) -> Counts:
        """Stage a draft in the model."""

    @abstractmethod
    def submit_one(self, draft: Draft) -> State:
        """Submit a draft in the model."""

    @abstractmethod
    def end(self, key: Key) -> None:
        """Let go of a record that has come to its end."""

    def of_state(self, *states: State) -> list[tuple[Key, Model]]:
        """The records in these states."""
        return [(key, its) for key, its in self.model.items() if its.state in states]

    def check_claim(self, key: Key, claim: Claim) -> None:
        """A claim has what was staged."""
        its = self.model[key]
        assert claim.lease == self.leases[key[0]]
        assert (claim.lane, claim.date) == (its.draft.lane, its.draft.date)
        assert (claim.payload, claim.attempts) == (its.draft.payload, its.attempts)
        self.held[key] = claim

    @rule(name=st.sampled_from(LOCATIONS))
    def take_over(self, name: str) -> None:
        """Everything that is claimed of a location is handed over, and nothing else."""
        earlier = self.leases.get(name)
        claims = [self.held.pop(key) for key in [*self.held] if key[0] == name]
        acquired = self.run(self.outbox.acquire(name))
        if earlier is not None:
            assert acquired.lease.token > earlier.token
            self.lost.append((earlier, claims))
        self.leases[name] = acquired.lease
        assert acquired.snapshot == self.quotas.get(name)
        handed = [(name, claim.key) for claim in acquired.unknown]
        assert sorted(handed) == sorted(k for k, _ in self.of_state(State.CLAIMED) if k[0] == name)
        places = [(claim.lane, claim.date, claim.seq) for claim in acquired.unknown]
        assert places == sorted(places)
        for claim in acquired.unknown:
            self.check_claim((name, claim.key), claim)

    @precondition(lambda self: self.lost)
    @rule(data=st.data())
    def use_a_lost_lease(self, data: st.DataObject) -> None:
        """Nothing comes of it, nor of what is asked for under another lease in the same call."""
        lost, claims = data.draw(st.sampled_from(self.lost))
        (other,) = set(LOCATIONS) - {lost.location}
        ends = [fate(its) for key, its in self.held.items() if key[0] == other]
        quota = QuotaSnapshot(99, AT, 99, AT)
        calls = [
            self.outbox.claim([(self.leases[other], 9), (lost, 9)]),
            self.outbox.settle(ends, [(self.leases[other], quota), (lost, quota)]),
            self.outbox.put_lookups(lost, dict.fromkeys(NAMES, "lost")),
        ]
        if claims:
            gone = fate(claims[0], data.draw(ENDS), lookups=dict.fromkeys(NAMES, "lost"))
            calls.append(self.outbox.settle([*ends, gone], ()))
        for call in calls:
            with pytest.raises(LeaseLostError):
                self.run(call)

    @rule(batch=st.lists(CHOICES, max_size=12), is_new=st.booleans())
    def stage(self, batch: list[Draft], is_new: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
        """Stage a batch of this reading or of the next."""
        if is_new:
            self.reading = Pass(self.reading.source_pass.source)
        expected = [self.stage_one(draft) for draft in batch]
        staged = self.run(self.outbox.stage(batch, self.reading.source_pass))
        assert staged[:4] == tuple(map(sum, zip(*expected, strict=True)) if expected else [0] * 4)

    @rule(draft=CHOICES)
    def submit(self, draft: Draft) -> None:
        """Submit a single record."""
        state = self.submit_one(draft)
        submission = self.run(self.outbox.submit(draft))
        assert submission.state is state
        assert (submission.end is None) is (state in OPEN)

    @rule()
    def publish(self) -> None:
        """Make all that is staged claimable."""
        self.run(self.outbox.publish())
        for its in self.model.values():
            its.is_published = True

    @rule(wants=st.tuples(st.integers(0, 12), st.integers(0, 12)))
    def claim(self, wants: tuple[int, int]) -> None:
        """Claim: as many as there are, each lane in date order."""
        asked = [(self.leases[name], n) for name, n in zip(LOCATIONS, wants, strict=True)]
        got = self.run(self.outbox.claim(asked))
        for name, want, claims in zip(LOCATIONS, wants, got, strict=True):
            free = {
                key: its.draft
                for key, its in self.of_state(State.PENDING)
                if key[0] == name and its.is_published
            }
            assert len(claims) == min(want, len(free))
            for claim in claims:
                key = name, claim.key
                self.check_claim(key, claim)
                assert claim.date == min(of.date for of in free.values() if of.lane == claim.lane)
                del free[key]
                self.model[key].state = State.CLAIMED

    @precondition(lambda self: self.held)
    @rule(data=st.data(), used=st.integers(0, 3))
    def settle(self, data: st.DataObject, used: int) -> None:
        """Settle some of what is held, in any order; note quotas, and what an end teaches."""
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.held)), unique=True))
        settlements = []
        for key in chosen:
            state, claim, its = data.draw(ENDS), self.held.pop(key), self.model[key]
            its.attempts += 1
            its.state = state
            message = str(claim.seq) if state is State.SENT else None
            lookups = None
            if state is not State.PENDING:
                lookups = {data.draw(st.sampled_from(NAMES)): str(claim.seq)}
                self.lookups[key[0]] = lookups | self.lookups[key[0]]
                self.end(key)
            end = Settlement(claim, state, AT, its.attempts, message, lookups=lookups)
            settlements.append(end)
        for name in LOCATIONS[:used]:
            self.quotas[name] = QuotaSnapshot(used, AT, len(chosen), AT)
        quotas = [(self.leases[name], self.quotas[name]) for name in LOCATIONS[:used]]
        self.run(self.outbox.settle(settlements, quotas))

    @rule(name=st.sampled_from(LOCATIONS), lookup=st.sampled_from(NAMES), value=st.text("ab"))
    def put_lookups(self, name: str, lookup: str, value: str) -> None:
        """Write a lookup down."""
        self.lookups[name][lookup] = value
        self.run(self.outbox.put_lookups(self.leases[name], {lookup: value}))

    @invariant()
    def agrees(self) -> None:
        """Locations are named that have something to do, and lookups are those of each."""
        busy = {key[0] for key, its in self.of_state(*OPEN) if its.is_published}
        assert set(self.run(self.outbox.locations())) == busy
        for name, known in self.lookups.items():
            assert self.run(self.outbox.get_lookups(self.leases[name], NAMES)) == known

    def teardown(self) -> None:
        """Settle all that is left: nothing may be lost."""
        self.publish()
        for _ in range(100):
            if not self.of_state(*OPEN):
                break
            self.claim((12, 12))
            self.run(self.outbox.settle([fate(claim) for claim in self.held.values()], ()))
            for key in self.held:
                self.model[key].state = State.SENT
                self.end(key)
            self.held.clear()
        assert not self.of_state(*OPEN)
        self.agrees()
        self.close()

    def close(self) -> None:
        """Let go of all."""
        self.run(self.outbox.close())
        self.runner.close()
        self.folder.cleanup()
