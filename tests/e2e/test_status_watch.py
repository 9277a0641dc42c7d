"""`status` names who sends from a database, and `--watch` says all again until interrupted."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import (
    PATIENCE,
    leadconnector,
    read_until,
    result_of,
    sms,
    started,
    wait_until,
    write_jsonl,
)
from outbox_kit import drafts, fate, published

from leadconnector_async.outbox.postgres.outbox import PostgresOutbox

if TYPE_CHECKING:
    from pathlib import Path


async def status(url: str, *words: str) -> Any:  # noqa: ANN401 - text or JSON
    """What the command prints while the outbox is open here."""
    said = await asyncio.to_thread(leadconnector, "status", "--outbox", url, *words)
    return result_of(said.stdout) if words else said.stdout


@pytest.mark.slow
def test_status_names_who_sends_from_a_database(postgres_place: str) -> None:
    """Each with how many locations and records are its own, how fast it is and how long it takes.

    Who has joined is a worker; who only holds a location is named too; what is nobody's is told.
    """
    locations = [f"l{n}" for n in range(40)]

    async def main() -> None:
        async with await PostgresOutbox.open(postgres_place) as one:
            await published(one, [draft for of in locations for draft in drafts(3, location=of)])
            assert (await status(postgres_place, "--json"))["workers"] == []
            await one.acquire("l0")
            (only,) = (await status(postgres_place, "--json"))["workers"]
            assert (only["joined"], only["pending"]) == (False, 3 * only["locations"])
            await one.join(10)
            async with await PostgresOutbox.open(postgres_place) as two:
                await two.join(10)
                await one.share()
                await two.share()
                found = await status(postgres_place, "--json")
                text = await status(postgres_place)
        workers = found["workers"]
        assert [of["worker"] for of in workers] == [
            f"{socket.gethostname()[:27]}/{os.getpid()}"
        ] * 2
        assert all(of["joined"] and of["id"] for of in workers)
        assert sum(of["locations"] for of in workers) == 40
        assert all(of["pending"] == 3 * of["locations_left"] > 0 for of in workers)
        assert {of["estimate_s"] for of in workers} == {0.3}
        assert "Nobody" not in text
        assert [workers[0]["id"], str(workers[0]["locations"])] in [
            line.split()[1:3] for line in text.splitlines()
        ]

    asyncio.run(main())
    assert "Nobody sends what is pending in 40 locations" in asyncio.run(status(postgres_place))


@pytest.mark.slow
def test_what_is_left_for_later_is_not_what_a_worker_sends(
    tmp_path: Path, postgres_place: str
) -> None:
    """Neither is it pending for whoever sends a piece, nor is somebody to be started for it."""
    history = write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in range(9)])
    words = ("--outbox", postgres_place, "--sandbox", "--stage-only", "--limit", "2")
    assert leadconnector("import", history, *words).exit_code == 0

    async def main() -> None:
        async with await PostgresOutbox.open(postgres_place) as one:
            lease, *_ = await one.acquire((await one.locations())[0])
            (only,) = (await status(postgres_place, "--json"))["workers"]
            assert only["pending"] == 2
            (claims,) = await one.claim([(lease, 9)])
            await one.settle([fate(claim) for claim in claims], ())

    assert "Nobody sends" in asyncio.run(status(postgres_place))
    asyncio.run(main())
    text = asyncio.run(status(postgres_place))
    assert ("7 of them left for later" in text, "Nobody sends" in text) == (True, False)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_says_it_again_until_interrupted(tmp_path: Path, number: int) -> None:
    """Of a file too: whole reports below each other where there is no terminal, then exit 0."""
    outbox = imported(tmp_path)
    with started("status", "--outbox", outbox, "--watch") as process:
        for _ in range(2):
            read_until(process.stdout, "Everything is sent.")
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0


@pytest.mark.slow
def test_watching_prints_an_object_per_line(tmp_path: Path) -> None:
    """For a program that reads them as they come."""
    outbox = imported(tmp_path)
    with started("status", "--outbox", outbox, "--watch", "--json") as process:
        assert process.stdout is not None
        objects = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    assert [of["sent"] for of in objects] == [1, 1]
    assert objects[0]["workers"] == []


@pytest.mark.slow
def test_watching_on_a_terminal_replaces_what_it_said(tmp_path: Path) -> None:
    """The cursor goes up again, and is there at the end."""
    outbox = imported(tmp_path)
    mine, its = pty.openpty()
    seen = b""

    def twice() -> bool:
        nonlocal seen
        seen += os.read(mine, 4096)
        return seen.count(b"Everything is sent.") > 1

    with started("status", "--outbox", outbox, "--watch", stdout=its, TERM="xterm") as process:
        wait_until(twice)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    seen += os.read(mine, 4096)
    os.close(its)
    os.close(mine)
    assert b"\x1b[1A" in seen
    assert b"\x1b[?25h" in seen


def test_watching_what_is_not_there_is_exit_1(tmp_path: Path) -> None:
    """What fails at the first look is a wrong name; later on it is a server that restarts."""
    said = leadconnector("status", "--outbox", tmp_path / "gone.db", "--watch")
    assert said.exit_code == 1
    assert "does not exist" in said.stderr


def imported(folder: Path) -> Path:
    """An outbox with one record."""
    source = write_jsonl(folder / "h.jsonl", [sms(1)])
    assert leadconnector("import", source, "--sandbox", "--outbox", folder / "o.db").exit_code == 0
    return folder / "o.db"
