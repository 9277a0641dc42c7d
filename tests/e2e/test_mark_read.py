"""An import that leaves no conversation unread which was not unread before."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import at, leadconnector, result_of, sms, started, wait_until, write_jsonl
from fault_harness import SHORT_PAUSES

from leadconnector_async.sandbox import Fault, SandboxConfig, SandboxThread
from leadconnector_async.transport.aiohttp_session import AiohttpTransport
from leadconnector_async.transport.base import Response

if TYPE_CHECKING:
    from pathlib import Path

    from leadconnector_async.transport.base import MaySend, Request

CONTACTS = 6


def history(folder: Path, count: int = 24) -> Path:
    """Messages of six contacts."""
    records = [sms(n, contactId=f"contact{n % CONTACTS}") for n in range(count)]
    return write_jsonl(folder / "h.jsonl", records)


def run(sandbox: SandboxThread, source: Path, *words: object, status: int = 0) -> dict[str, Any]:
    """Import with --mark-read, and read what came of it."""
    outbox = source.parent / "o.db"
    end = leadconnector("import", source, *at(sandbox, outbox), "--mark-read", *words, "--json")
    assert end.exit_code == status, end.output
    return result_of(end.stdout)


def unread(sandbox: SandboxThread) -> dict[str, int]:
    """The unread counts by contact."""
    return {one.contact_id: one.unread for one in sandbox.state.store.conversations()}


def marks(sandbox: SandboxThread) -> int:
    """How many requests have set an unread count, whatever their answer."""
    asked = list(sandbox.requests.items())  # at once: its thread counts on
    return sum(n for (name, _), n in asked if name == "update_conversation")


def make_unread(sandbox: SandboxThread, *contacts: str, count: int = 2) -> None:
    """Let conversations have so many unread messages."""
    for contact in contacts:
        store, location = sandbox.state.store, sandbox.location_id
        found = store.conversation_of(location, contact) or store.open(location, contact, 0.0)
        found.unread = count


def test_what_was_read_is_read_again(tmp_path: Path) -> None:
    """Once each; two of the six were unread before, and stay so, with what has come in."""
    with SandboxThread() as sandbox:
        make_unread(sandbox, "contact1", "contact4")
        found = run(sandbox, history(tmp_path))
        assert found["marked_read"] == marks(sandbox) == 4
        assert unread(sandbox) == dict.fromkeys(map("contact{}".format, (0, 2, 3, 5)), 0) | {
            "contact1": 6,
            "contact4": 6,
        }
        assert run(sandbox, history(tmp_path))["requests"] == 0


def test_without_it_all_is_unread(tmp_path: Path) -> None:
    """The API's doing, and not changed without being asked."""
    with SandboxThread() as sandbox:
        leadconnector("import", history(tmp_path), *at(sandbox, tmp_path / "o.db"))
        assert set(unread(sandbox).values()) == {4}


def test_by_number_and_by_conversation(tmp_path: Path) -> None:
    """However a record says whom it is with; where there was no conversation, none was unread."""
    by_number = [
        sms(n, contactId=None, **{"contact.phone": f"+1212555012{n % 3}"}) for n in range(6)
    ]
    by_conversation = [sms(n, contactId=None, conversationId="v1") for n in range(6, 9)]
    source = write_jsonl(tmp_path / "h.jsonl", [*by_number, *by_conversation])
    with SandboxThread() as sandbox:
        assert run(sandbox, source)["marked_read"] == 4
        assert set(unread(sandbox).values()) == {0}


@pytest.mark.slow
def test_a_later_import_looks_again(tmp_path: Path) -> None:
    """What has become unread since is left alone, and what was read since is marked."""
    with SandboxThread() as sandbox:
        make_unread(sandbox, "contact0")
        run(sandbox, history(tmp_path))
        make_unread(sandbox, "contact1")
        make_unread(sandbox, "contact0", count=0)
        run(sandbox, history(tmp_path, 30))
        counts = unread(sandbox)
        assert counts.pop("contact1") > 0
        assert set(counts.values()) == {0}


def test_a_piece_is_marked_when_it_is_there(tmp_path: Path) -> None:
    """What is left for later is not waited for, and is marked when it has come."""
    with SandboxThread() as sandbox:
        assert run(sandbox, history(tmp_path), "--limit", 8)["marked_read"] == CONTACTS
        assert set(unread(sandbox).values()) == {0}
        assert run(sandbox, history(tmp_path))["marked_read"] == CONTACTS
        assert set(unread(sandbox).values()) == {0}


@pytest.mark.parametrize("kind", ["403", "404"])
def test_a_refusal_is_a_notice(tmp_path: Path, kind: str) -> None:
    """The messages are there: no record fails, and the command does not try for ever."""
    faults = (Fault(kind, endpoint="update_conversation"),)  # type: ignore[arg-type]
    with SandboxThread(SandboxConfig(faults=faults)) as sandbox:
        found = run(sandbox, history(tmp_path))
        assert (found["sent"], found["failed"], found["marked_read"]) == (24, 0, 0)
        (notice,) = found["notices"]
        assert "could not be marked as read" in notice["reason"]
        assert notice["count"] == marks(sandbox) == CONTACTS


def test_a_page_in_place_of_a_refusal_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What answers 404 while the API is away knows no conversation: each is marked later."""
    send, pages = AiohttpTransport.send, [Response(404, {}, b"<html>")]

    async def paged(
        self: AiohttpTransport, request: Request, token: str, may_send: MaySend | None = None
    ) -> Response:
        if request.method == "PUT" and pages:
            return pages.pop()
        return await send(self, request, token, may_send)

    monkeypatch.setattr(AiohttpTransport, "send", paged)
    with SandboxThread() as sandbox:
        assert run(sandbox, history(tmp_path))["marked_read"] == CONTACTS


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["500", "reset", "html", pytest.param("429", marks=pytest.mark.full)]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_fails_for_a_while_is_made_again(tmp_path: Path, kind: str, when: str) -> None:
    """It changes nothing where it was done already; a page does not say that it was."""
    faults = (Fault(kind, when=when, nth=(1, 3), endpoint="update_conversation"),)  # type: ignore[arg-type]
    with SandboxThread(SandboxConfig(faults=faults, limits=SHORT_PAUSES)) as sandbox:
        assert run(sandbox, history(tmp_path))["marked_read"] == CONTACTS
        assert set(unread(sandbox).values()) == {0}
        assert not run(sandbox, history(tmp_path))["requests"]


@pytest.mark.slow
def test_what_fails_for_long_is_made_by_the_next_run(tmp_path: Path) -> None:
    """It is kept, also where there is nothing else to do any more; the notice says so."""
    faults = (Fault("500", endpoint="update_conversation"),)
    with SandboxThread(SandboxConfig(faults=faults)) as sandbox:
        found = run(sandbox, history(tmp_path))
        assert found["marked_read"] == 0
        assert "with the same command again" in found["notices"][0]["reason"]
        sandbox.state.reconfigure(faults=())
        assert run(sandbox, history(tmp_path))["marked_read"] == CONTACTS
        assert set(unread(sandbox).values()) == {0}


@pytest.mark.slow
def test_a_killed_run_is_gone_on_with(tmp_path: Path) -> None:
    """What was written down as marked is not marked again; what is unknown is, and no more."""
    faults = (Fault("hang", when="after", nth=(3,), endpoint="update_conversation", seconds=60),)
    source = history(tmp_path)
    with SandboxThread(SandboxConfig(faults=faults)) as sandbox:
        words = at(sandbox, tmp_path / "o.db")
        with started("import", source, *words, "--mark-read") as process:
            wait_until(lambda: marks(sandbox) == CONTACTS)
            wait_until(lambda: len(waiting(tmp_path / "o.db")) == 1)
            process.kill()
        sandbox.state.reconfigure(faults=())
        assert run(sandbox, source)["marked_read"] == 1
        assert set(unread(sandbox).values()) == {0}
        assert not run(sandbox, source)["requests"]


def waiting(outbox: Path) -> list[str]:
    """The marks that are still to be made, by what is on disk."""
    with closing(sqlite3.connect(outbox)) as connection:
        rows = connection.execute("SELECT name FROM lookup WHERE name GLOB 'mark:*'").fetchall()
    return [name for (name,) in rows]


def test_it_is_in_the_estimate(tmp_path: Path) -> None:
    """One request more for each conversation, or two: what was unread is not marked."""
    with SandboxThread() as sandbox:
        found = run(sandbox, history(tmp_path), "--dry-run")
        plan = found["plan"][0]
        assert (plan["requests_least"], plan["requests_most"]) == (24 + CONTACTS, 24 + 2 * CONTACTS)


def test_it_is_of_the_import_that_sends(tmp_path: Path) -> None:
    """Workers know nothing of it."""
    words = "--location", "x", "--outbox", tmp_path / "o.db", "--stage-only", "--mark-read"
    end = leadconnector("import", history(tmp_path), *words)
    assert end.exit_code == 2
    assert "--mark-read" in end.output


def test_an_interrupted_run_waits_for_no_mark(tmp_path: Path) -> None:
    """Marks that wait for the end of a pause after 429 are left to the next run."""
    source = write_jsonl(tmp_path / "h.jsonl", [sms(n, contactId=f"contact{n}") for n in range(12)])
    faults = (Fault("429", endpoint="update_conversation", seconds=600),)
    with SandboxThread(SandboxConfig(faults=faults)) as sandbox:
        words = (source, *at(sandbox, tmp_path / "o.db"), "--mark-read")
        with started("import", *words) as process:
            wait_until(lambda: len(sandbox.messages) == 12 and marks(sandbox) > 0)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        sandbox.set_faults()
        assert run(sandbox, source)["marked_read"] == 12
        assert set(unread(sandbox).values()) == {0}
