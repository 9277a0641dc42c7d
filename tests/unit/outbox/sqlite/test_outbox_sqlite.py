"""Staging, claiming, settling, crashing and going on, in any order, against a model in a dict."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct
from outbox_kit import AT, Reading, crashed

from leadconnector_async.outbox.base import Settlement, SourcePass, State
from leadconnector_async.outbox.reader import RecordCounts
from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox
from leadconnector_async.records.draft import Draft, line_key
from leadconnector_async.records.sameness import numbered

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from leadconnector_async.outbox.base import Claim, Lease

T = TypeVar("T")
LOCATIONS = ("l1", "l2")
Key = tuple[str, bytes]


class Model(Struct):
    """What should be known of a record."""

    draft: Draft
    state: State
    is_sealed: bool
    source: int
    attempts: int = 0
    former: set[bytes | None] = set()
    """Lines that it was before it was mended."""

    def was(self, draft: Draft) -> bool:
        """Tell whether it is, or was, the line of a draft."""
        return draft.raw == self.draft.raw or draft.raw in self.former


class Pass:
    """A reading, and how the model follows it."""

    def __init__(self) -> None:
        self.source_pass = SourcePass(1)
        self.equal: dict[Key, int] = {}
        self.met: set[Key] = set()


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

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="outbox"))
        self.path = self.folder / "o.db"
        self.model: dict[Key, Model] = {}
        self.held: dict[Key, Claim] = {}
        self.reading = Pass()

    def run(self, work: Coroutine[None, None, T]) -> T:
        """Run in the loop that the outbox is bound to."""
        return self.runner.run(work)

    @initialize()
    def open(self) -> None:
        """Open the file, or what a crash has left of it, and own both locations."""
        self.outbox = self.run(SqliteOutbox.open(self.path))
        self.leases: dict[str, Lease] = {}
        self.held = {}
        for name in LOCATIONS:
            self.begin(name)

    def begin(self, name: str) -> None:
        """Everything that is claimed is handed back, and nothing else."""
        acquired = self.run(self.outbox.acquire(name))
        self.leases[name] = acquired.lease
        expected = {key for key, its in self.of_state(State.CLAIMED) if key[0] == name}
        handed = {(name, claim.key): claim for claim in acquired.unknown}
        assert len(handed) == len(acquired.unknown)
        assert handed.keys() == expected
        places = [(claim.lane, claim.date, claim.seq) for claim in acquired.unknown]
        assert places == sorted(places)
        for key, claim in handed.items():
            self.check_claim(key, claim)
            self.held[key] = claim

    def of_state(self, *states: State) -> list[tuple[Key, Model]]:
        """The records in these states."""
        return [(key, its) for key, its in self.model.items() if its.state in states]

    def check_claim(self, key: Key, claim: Claim) -> None:
        """A claim has what was staged."""
        its = self.model[key]
        assert (claim.lane, claim.date) == (its.draft.lane, its.draft.date)
        assert (claim.payload, claim.attempts) == (its.draft.payload, its.attempts)

    # What a caller does.

    @rule(batch=st.lists(CHOICES, max_size=12), is_new=st.booleans())
    def stage(self, batch: list[Draft], is_new: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
        """Stage a batch of this reading or of the next."""
        if is_new:
            self.reading = Pass()
        expected = [self.stage_one(draft) for draft in batch]
        staged = self.run(self.outbox.stage(batch, self.reading.source_pass))
        assert staged[:4] == tuple(map(sum, zip(*expected, strict=True)) if expected else [0] * 4)

    def stage_one(self, draft: Draft) -> tuple[int, int, int, int]:
        """Staged, skipped, refused, copies."""
        base = draft.location, draft.key
        number = 1
        if draft.counted:
            number = self.reading.equal[base] = self.reading.equal.get(base, 0) + 1
        key = draft.location, numbered(draft.key, number)
        known = self.model.get(key)
        is_first = key not in self.reading.met
        self.reading.met.add(key)
        if known is None:
            return self.replace(key, draft, source=1)
        if draft.counted:
            return self.meet(key, draft)
        same = known.was(draft) or (
            draft.payload is not None and draft.payload == known.draft.payload
        )
        ended = {State.REJECTED, State.LEFT_OUT, State.DISMISSED}
        if is_first and (same or known.state in ended):
            return self.meet(key, draft)
        if same:
            return 0, 1, 0, 1
        return self.set_apart(draft)

    def set_apart(self, draft: Draft) -> tuple[int, int, int, int]:
        """Meet a record that has the id of another one."""
        if draft.payload is not None:
            reason = "id is that of another record with other content"
            fix = "give each record an id of its own"
            draft = draft._replace(payload=None, problem=f"{reason}: {fix}", lane=0, date=0)
        key = draft.location, line_key(draft.raw or b"")
        is_first = key not in self.reading.met
        self.reading.met.add(key)
        if key not in self.model:
            return self.replace(key, draft, source=1)
        return self.meet(key, draft) if is_first else (0, 1, 0, 1)

    def meet(self, key: Key, draft: Draft) -> tuple[int, int, int, int]:
        """Meet a record that is known for the first time in a reading."""
        known = self.model[key]
        if self.is_mended_by(known, draft):
            return self.replace(key, draft, source=1)
        is_copy = known.source != 1 and draft.raw not in known.former
        return 0, 1, 0, is_copy

    def is_mended_by(self, known: Model, draft: Draft) -> bool:
        """Only what was not sent, and only by what differs."""
        if known.state is State.DISMISSED:
            is_bad = known.draft.payload is None and draft.payload is not None
            return is_bad and not known.was(draft)
        if known.state not in {State.REJECTED, State.LEFT_OUT}:
            return False
        ours, theirs = known.draft, draft
        return (ours.payload, ours.problem, ours.left_out) != (
            theirs.payload,
            theirs.problem,
            theirs.left_out,
        )

    def replace(self, key: Key, draft: Draft, *, source: int) -> tuple[int, int, int, int]:
        """Put a new or a mended record into the model."""
        state = State.PENDING if draft.problem is None else State.REJECTED
        state = state if draft.left_out is None else State.LEFT_OUT
        known = self.model.get(key)
        former = set() if known is None else known.former | {known.draft.raw}
        is_sealed = known is not None and known.is_sealed
        self.model[key] = Model(draft, state, is_sealed, source, former=former)
        return 1, 0, draft.problem is not None, 0

    @rule(draft=CHOICES)
    def admit(self, draft: Draft) -> None:
        """Admit a single record."""
        key = draft.location, draft.key
        known = self.model.get(key)
        if known is None or self.is_mended_by(known, draft):
            self.replace(key, draft, source=0)
            self.model[key].is_sealed = known is None or known.is_sealed
        elif not (draft.counted or draft.payload is None or known.was(draft)) and (
            draft.payload != known.draft.payload
        ):
            assert self.run(self.outbox.submit(draft)).state is State.REJECTED
            return
        its = self.model[key]
        its.is_sealed = its.is_sealed or its.state is State.PENDING
        submission = self.run(self.outbox.submit(draft))
        assert submission.state is its.state
        assert (submission.end is None) is (its.state in {State.PENDING, State.CLAIMED})

    @rule()
    def seal(self) -> None:
        """Make all that is staged claimable."""
        self.run(self.outbox.publish())
        for its in self.model.values():
            its.is_sealed = True

    @rule(wants=st.tuples(st.integers(0, 12), st.integers(0, 12)))
    def claim(self, wants: tuple[int, int]) -> None:
        """Claim: as many as there are, each lane in date order."""
        asked = [(self.leases[name], n) for name, n in zip(LOCATIONS, wants, strict=True)]
        for name, want, claims in zip(
            LOCATIONS, wants, self.run(self.outbox.claim(asked)), strict=True
        ):
            free = {key: its for key, its in self.of_state(State.PENDING) if its.is_sealed}
            free = {key: its for key, its in free.items() if key[0] == name}
            assert len(claims) == min(want, len(free))
            for claim in claims:
                key = name, claim.key
                self.check_claim(key, claim)
                lane = [its.draft.date for its in free.values() if its.draft.lane == claim.lane]
                assert claim.date == min(lane)
                del free[key]
                self.model[key].state = State.CLAIMED
                self.held[key] = claim

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """Settle some of what is held, in any order."""
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.held)), unique=True))
        settlements = []
        for key in chosen:
            state, claim, its = data.draw(ENDS), self.held.pop(key), self.model[key]
            its.attempts += 1
            its.state = state
            message = str(claim.seq) if state is State.SENT else None
            settlements.append(Settlement(claim, state, AT, its.attempts, message))
        self.run(self.outbox.settle(settlements, ()))

    @rule()
    def retry(self) -> None:
        """Put failed records back; unresolved ones are handed out by the next epoch."""
        rejected = [its for _, its in self.of_state(State.REJECTED) if its.draft.payload]
        unresolved = [its for _, its in self.of_state(State.UNRESOLVED)]
        refused = len(self.of_state(State.REJECTED)) - len(rejected)
        for its in rejected:
            its.state, its.attempts = State.PENDING, 0
        for its in unresolved:
            its.state, its.attempts = State.CLAIMED, 0
        retried = self.run(self.outbox.requeue())
        assert retried == (len(rejected), len(unresolved), refused, 0)
        for name in LOCATIONS:
            self.begin(name)

    @precondition(lambda self: self.of_state(State.REJECTED, State.UNRESOLVED))
    @rule(data=st.data())
    def dismiss(self, data: st.DataObject) -> None:
        """Give some of what failed up."""
        failed = sorted(key for key, _ in self.of_state(State.REJECTED, State.UNRESOLVED))
        chosen = data.draw(st.lists(st.sampled_from(failed), unique=True))
        keys = [(key, name) for name, key in chosen]
        assert self.run(self.outbox.dismiss(keys=keys)) == len(chosen)
        for key in chosen:
            self.model[key].state = State.DISMISSED

    @rule()
    def crash(self) -> None:
        """Go on with what is on disk at this moment."""
        copy = crashed(self.path)
        self.run(self.outbox.close())
        self.path, self.reading = copy, Pass()
        self.open()

    @rule()
    def close(self) -> None:
        """End in good order, and go on."""
        self.run(self.outbox.close())
        self.reading = Pass()
        self.open()

    # What must hold at any moment.

    @invariant()
    def agrees(self) -> None:
        """Each record has one state, and the totals are right."""
        expected = {
            name: RecordCounts(*(self.total(name, state) for state in State))
            for name in {key[0] for key in self.model}
        }
        with Reading(self.path) as reader:
            summary = reader.summary()
            failed = {(record.location, record.key): record.state for record in reader.failed()}
            sent = [(name, record.key) for name in LOCATIONS for record in reader.sent(name)]
        counted = {name: counts for name, counts in summary.locations.items() if counts.total}
        assert counted == expected
        assert failed == {
            key: its.state for key, its in self.of_state(State.REJECTED, State.UNRESOLVED)
        }
        assert sorted(sent) == sorted(key for key, _ in self.of_state(State.SENT))
        ended = self.of_state(State.LEFT_OUT, State.DISMISSED)
        assert sum(reason.count for reason in summary.reasons) == len(failed) + len(ended)
        assert summary.records == len(self.model) == sum(of.total for of in counted.values())

    def total(self, name: str, state: State) -> int:
        """How many records of a location are in a state."""
        return sum(key[0] == name for key, _ in self.of_state(state))

    def teardown(self) -> None:
        """Settle all that is left: nothing may be lost."""
        if hasattr(self, "outbox"):
            self.seal()
            for _ in range(100):
                if not self.of_state(State.PENDING, State.CLAIMED):
                    break
                self.claim((12, 12))
                fates = [Settlement(claim, State.SENT, AT, 1, "m") for claim in self.held.values()]
                for key in self.held:
                    self.model[key].state = State.SENT
                self.held.clear()
                self.run(self.outbox.settle(fates, ()))
            assert not self.of_state(State.PENDING, State.CLAIMED)
            self.agrees()
            self.run(self.outbox.close())
        self.runner.close()
        shutil.rmtree(self.folder)


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
