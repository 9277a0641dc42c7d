from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from outbox_kit import ENVIRONMENT, OutboxFile, fate, in_outbox, keys

if TYPE_CHECKING:
    from leadconnector_async.outbox.sqlite.outbox import SqliteOutbox

ROUNDS = 3
VICTIM = Path(__file__).parents[1] / "support" / "outbox_victim.py"


def killed(path: Path, seed: int, seconds: float) -> list[list[str]]:
    """Run the victim, kill it, and return what it said."""
    process = subprocess.Popen(
        [sys.executable, str(VICTIM), str(path), str(seed)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = "".join(process.stdout.readline() for _ in range(3))  # it has settled some
    time.sleep(seconds)  # a real process is to be hit at a moment that no one chose
    process.kill()
    said += process.stdout.read()
    process.wait()
    process.stdout.close()
    lines = said.split("\n")[:-1]  # what the kill has cut off was not said
    return [line.split() for line in lines]


@pytest.mark.slow
def test_a_killed_process_loses_nothing_that_it_was_told_is_durable(tmp_path: Path) -> None:
    """Whatever the moment. A call whose answer was cut off may have been done or not."""
    path = tmp_path / "o.db"
    draw = random.Random(7)
    staged: set[str] = set()
    settled: set[str] = set()
    for seed in range(ROUNDS):
        said = killed(path, seed, draw.random() * 0.4)
        held: set[str] = set()
        for what, *names in said:
            if what == "staged":
                staged.update(names)
            elif what == "claimed":
                held.update(names)
            else:
                settled.update(names)
                held.difference_update(names)

        unknown = set(keys(in_outbox(path, lambda outbox: outbox.acquire("l1")).unknown))
        with OutboxFile(path) as reader:
            ended = [sent.key.decode() for sent in reader.sent("l1")]
            counts = reader.summary().counts
        assert len(ended) == len(set(ended)) == counts.sent
        assert settled <= set(ended)
        assert held <= unknown | set(ended)
        assert len(staged) <= sum(counts)
        assert len(unknown) == counts.claimed
        settled, staged = set(ended), staged | set(ended)
    assert len(settled) > ROUNDS


@pytest.mark.slow
def test_after_all_crashes_each_record_ends_once(tmp_path: Path) -> None:
    """The last run claims, settles and resolves all that is left."""
    path = tmp_path / "o.db"
    staged = {
        name
        for seed in range(2)
        for what, *names in killed(path, seed, 0.2)
        if what == "staged"
        for name in names
    }

    async def finish(outbox: SqliteOutbox) -> None:
        lease, unknown, _ = await outbox.acquire("l1")
        await outbox.publish()
        await outbox.settle([fate(claim) for claim in unknown], ())
        while claims := (await outbox.claim([(lease, 500)]))[0]:
            await outbox.settle([fate(claim) for claim in claims], ())

    in_outbox(path, finish)
    with OutboxFile(path) as reader:
        ended = [sent.key.decode() for sent in reader.sent("l1")]
        counts = reader.summary().counts
    assert staged <= set(ended)
    assert len(ended) == len(set(ended)) == counts.sent == sum(counts)
