"""Staging, claiming, settling, taking over, crashing and going on, in any order, beside a model."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace
from outbox_kit import listed
from outbox_machine import (
    LOCATIONS,
    OPEN,
    Counts,
    Key,
    Model,
    OutboxMachine,
    Pass,
    end_of,
    numbered,
)
from outbox_places import DurablePlace, Place, PostgresServerPlace

from leadconnector_async.outbox.base import State
from leadconnector_async.outbox.reader import OutboxSummary, RecordCounts
from leadconnector_async.records.keys import line_key

if TYPE_CHECKING:
    from leadconnector_async.outbox.durable import DurableOutbox
    from leadconnector_async.records.draft import Draft


class StreamMachine(OutboxMachine):
    """What is refused is not kept, what is settled is forgotten, and all is published at once."""

    def __init__(self, store: type[Place]) -> None:
        super().__init__(store)
        self.numbers: defaultdict[Key, int] = defaultdict(int)

    def stage_one(self, draft: Draft) -> Counts:
        """Equal ones are told apart by number; of an id, there is one while it is in hand."""
        if draft.payload is None:
            return 1, 0, draft.problem is not None, 0
        key = base = numbered(draft, 1)
        if draft.counted:
            self.numbers[base] += 1
            while (key := numbered(draft, self.numbers[base])) in self.model:
                self.numbers[base] += 1
        if key not in self.model:
            self.model[key] = Model(draft)
            return 1, 0, 0, 0
        is_same = self.model[key].draft.payload == draft.payload
        return (0, 1, 0, 1) if is_same else (1, 0, 1, 0)

    def submit_one(self, draft: Draft) -> State:
        """One that is in hand is known; others are new."""
        if draft.payload is None:
            return end_of(draft)
        known = self.model.setdefault(numbered(draft, 1), Model(draft))
        return known.state if known.draft.payload == draft.payload else State.REJECTED

    def end(self, key: Key) -> None:
        """Forget it."""
        del self.model[key]


class DurableMachine(OutboxMachine):
    """Everything is kept, read again, mended, tried again and given up, and outlives a crash."""

    place: DurablePlace
    outbox: DurableOutbox

    def go_on(self) -> None:
        """Read the source from its beginning, and look at the outbox from beside."""
        super().go_on()
        self.reading = Pass(self.run(self.outbox.source("h.csv", b"{}")))
        self.reader = self.run(self.place.reader())

    def stage_one(self, draft: Draft) -> Counts:
        """Tell a new record from a known, a mended and an equal one, and from one of its id."""
        number = 1
        if draft.counted:
            base = numbered(draft, 1)
            number = self.reading.equal[base] = self.reading.equal[base] + 1
        key = numbered(draft, number)
        known = self.model.get(key)
        is_first = self.reading.is_first(key)
        if known is None:
            return self.replace(key, draft)
        if draft.counted:
            return self.meet(key, draft)
        same = known.was(draft) or (
            draft.payload is not None and draft.payload == known.draft.payload
        )
        ended = known.state in {State.REJECTED, State.LEFT_OUT, State.DISMISSED}
        if is_first and (same or (ended and known.is_of_source)):
            return self.meet(key, draft)
        return (0, 1, 0, 1) if same else self.set_apart(draft)

    def set_apart(self, draft: Draft) -> Counts:
        """Meet a record that has the id of another one."""
        if draft.payload is not None:
            reason = "id is that of another record with other content"
            fix = "give each record an id of its own"
            draft = replace(draft, payload=None, problem=f"{reason}: {fix}", lane=0, date=0)
        key = draft.location, line_key(draft.raw or b"")
        is_first = self.reading.is_first(key)
        if key not in self.model:
            return self.replace(key, draft)
        return self.meet(key, draft) if is_first else (0, 1, 0, 1)

    def meet(self, key: Key, draft: Draft) -> Counts:
        """Meet a record that is known for the first time in a reading."""
        known = self.model[key]
        if self.is_mended_by(known, draft):
            return self.replace(key, draft)
        return 0, 1, 0, not known.is_of_source and draft.raw not in known.former

    def is_mended_by(self, known: Model, draft: Draft) -> bool:
        """Only what was not sent, and only by what differs."""
        ours, theirs = known.draft, draft
        if known.state is State.DISMISSED:
            return ours.payload is None and theirs.payload is not None and not known.was(draft)
        return known.state in {State.REJECTED, State.LEFT_OUT} and (
            (ours.payload, ours.problem, ours.left_out)
            != (theirs.payload, theirs.problem, theirs.left_out)
        )

    def replace(self, key: Key, draft: Draft, *, is_of_source: bool = True) -> Counts:
        """Put a new or a mended record into the model."""
        known = self.model.get(key)
        former = set() if known is None else known.former | {known.draft.raw}
        is_published = known is not None and known.is_published
        model = Model(draft, end_of(draft), is_published, is_of_source, former=former)
        self.model[key] = model
        return 1, 0, draft.problem is not None, 0

    def submit_one(self, draft: Draft) -> State:
        """What is pending is published."""
        key = numbered(draft, 1)
        known = self.model.get(key)
        if known is None or self.is_mended_by(known, draft):
            self.replace(key, draft, is_of_source=False)
        elif not (draft.counted or draft.payload is None or known.was(draft)) and (
            draft.payload != known.draft.payload
        ):
            return State.REJECTED
        its = self.model[key]
        its.is_published |= known is None or its.state is State.PENDING
        return its.state

    def end(self, key: Key) -> None:
        """Keep it as it is."""

    @rule()
    def requeue(self) -> None:
        """Put failed records back; unresolved ones are handed over with the next lease."""
        failed = self.of_state(State.REJECTED, State.UNRESOLVED)
        again = [its for _, its in failed if its.draft.payload is not None]
        unresolved = sum(its.state is State.UNRESOLVED for its in again)
        for its in again:
            its.attempts = 0
            its.state = OPEN[its.state is State.UNRESOLVED]
        expected = len(again) - unresolved, unresolved, len(failed) - len(again), 0
        assert self.run(self.outbox.requeue()) == expected
        for name in LOCATIONS:
            self.take_over(name)

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
    def forget(self) -> None:
        """Forget what settled records say: it changes nothing of what they are told by."""
        settled = len(self.of_state(State.SENT, State.LEFT_OUT, State.DISMISSED))
        assert self.run(self.outbox.forget_texts()) <= settled
        assert self.run(self.outbox.forget_texts()) == 0
        assert self.run(self.reader.broken()) == {}

    @rule(is_crash=st.booleans())
    def reopen(self, is_crash: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
        """End in good order, or go on with what a crash at this moment leaves."""
        self.run(self.reader.close())
        before = self.outbox
        if is_crash:
            self.outbox = self.run(self.place.crashed())
        self.run(before.close())
        if not is_crash:
            self.outbox = self.run(self.place.open())
        self.go_on()

    @invariant()
    def agrees(self) -> None:
        """Each record has one state, and the totals are right."""
        super().agrees()
        summary, failed, sent, queued = self.run(self.read())
        counted = {name: counts for name, counts in summary.locations.items() if any(counts)}
        assert counted == {
            name: RecordCounts(*(self.total(name, state) for state in State))
            for name in {key[0] for key in self.model}
        }
        expected = self.of_state(State.REJECTED, State.UNRESOLVED)
        assert failed == {key: its.state for key, its in expected}
        assert sorted(sent) == sorted(key for key, _ in self.of_state(State.SENT))
        assert queued == sum(its.is_published for _, its in self.of_state(*OPEN))
        ended = self.of_state(State.LEFT_OUT, State.DISMISSED)
        assert sum(reason.count for reason in summary.reasons) == len(failed) + len(ended)
        assert summary.records == len(self.model) == sum(map(sum, counted.values()))

    async def read(self) -> tuple[OutboxSummary, dict[Key, State], list[Key], int]:
        """The figures, the failed records, the sent ones, and how many are queued."""
        failed = await listed(self.reader.failed())
        sent = [
            (name, record.key)
            for name in LOCATIONS
            for record in await listed(self.reader.sent(name))
        ]
        states = {(record.location, record.key): record.state for record in failed}
        queued = await listed(self.reader.queued())
        return await self.reader.summary(), states, sent, len(queued)

    def close(self) -> None:
        """Let go of all."""
        self.run(self.reader.close())
        super().close()

    def total(self, name: str, state: State) -> int:
        """How many records of a location are in a state."""
        return sum(key[0] == name for key, _ in self.of_state(state))


@pytest.mark.slow
def test_a_store_and_its_model_agree(store: type[Place]) -> None:
    """Whatever is done, in any order."""
    share = 4 if store is PostgresServerPlace else 1  # it takes its time
    examples = settings().max_examples // share
    machine = DurableMachine if issubclass(store, DurablePlace) else StreamMachine
    run_state_machine_as_test(
        lambda: machine(store),  # type: ignore[arg-type] # any factory will do
        settings=settings(max_examples=examples, stateful_step_count=25),
    )
