"""A piece of the real thing: some of it now, the rest by the same command, nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cli_harness import at, leadconnector, result_of, sms, write_jsonl

from leadconnector_async.sandbox import SandboxConfig, SandboxThread
from leadconnector_async.sandbox.config import Latency

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Sixty messages, three each of twenty contacts, the newest first in the file."""
    return write_jsonl(tmp_path / "h.jsonl", [sms(n) for n in reversed(range(60))])


def run(
    sandbox: SandboxThread, history: Path, *words: object, status: int = 0, of: str = "o.db"
) -> dict[str, Any]:
    """Import, and read what came of it."""
    end = leadconnector("import", history, *at(sandbox, history.parent / of), *words, "--json")
    assert end.exit_code == status, end.output
    return result_of(end.stdout)


def sent_ids(sandbox: SandboxThread) -> list[str]:
    """What is stored, by the numbers of the records, in the order of their dates."""
    numbers = [int((message.alt_id or "")[1:]) for message in sandbox.messages]
    return [f"m{number}" for number in sorted(numbers)]


@pytest.mark.slow
def test_the_first_ones_now_and_the_rest_later(sandbox: SandboxThread, history: Path) -> None:
    """By date, whatever the order of the file; the same command again adds nothing."""
    for words, sent, later in (
        (("--limit", 10), 10, 50),
        (("--limit", 10), 0, 50),
        (("--limit", 15), 5, 45),
        (("--since", "2024-01-01T00:00:50Z"), 10, 35),
        ((), 35, 0),
        (("--limit", 1), 0, 0),
    ):
        found = run(sandbox, history, *words)
        assert (found["sent"], found["later"], found["pending"]) == (sent, later, later)
        assert found["ended"] == "done"
    assert sent_ids(sandbox) == [f"m{n}" for n in range(60)]


def test_whole_conversations(sandbox: SandboxThread, history: Path) -> None:
    """Of the first two contacts, or of the first message's."""
    assert run(sandbox, history, "--limit", 1, "--limit-conversations")["sent"] == 3
    assert run(sandbox, history, "--limit-conversations", 2)["sent"] == 3
    assert sent_ids(sandbox) == ["m0", "m1", "m20", "m21", "m40", "m41"]


def test_only_some(sandbox: SandboxThread, tmp_path: Path) -> None:
    """A type, a contact, a number however it is written; the account still adds up."""
    records: list[dict[str, object]] = [sms(n) for n in range(4)]
    records += [
        sms(4, type="WhatsApp"),
        sms(5, contactId=None, **{"contact.phone": "+12125550123"}),
    ]
    history = write_jsonl(tmp_path / "h.jsonl", records)
    assert run(sandbox, history, "--only", "whatsapp")["sent"] == 1
    assert run(sandbox, history, "--only", "contact2", "--only", "contact3")["sent"] == 2
    found = run(sandbox, history, "--only", "(212) 555-0123", "--region", "US")
    assert (found["sent"], found["later"], found["account"]["read"]) == (1, 2, 6)


@pytest.mark.parametrize(
    ("until", "sent"), [("20240101T000010", 10), ("2024-01-01T00", 0), ("20240101", 60)]
)
def test_what_has_a_time_of_day_is_a_moment(
    sandbox: SandboxThread, history: Path, until: str, sent: int
) -> None:
    """In each form of ISO 8601: only a day is taken to its end."""
    assert run(sandbox, history, "--until", until)["sent"] == sent


def test_the_report_and_status_name_what_is_left(sandbox: SandboxThread, history: Path) -> None:
    """As a figure, and with the way to go on."""
    outbox = history.parent / "o.db"
    words = "import", history, *at(sandbox, outbox), "--limit", 10
    end = leadconnector(*words, "--dry-run")
    assert "left for later" in end.output
    assert "10" in next(line for line in end.output.splitlines() if "to send" in line)
    end = leadconnector(*words)
    assert "The import of what was selected is finished." in end.output
    assert "The same command without its selection" in end.output
    status = leadconnector("status", "--outbox", outbox, "--json")
    assert result_of(status.stdout)["later"] == 50
    assert "50 of them left for later" in leadconnector("status", "--outbox", outbox).output


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--limit", "0"), "--limit"),
        (("--limit", "ten"), "--limit"),
        (("--limit-conversations", "0"), "needs a limit"),
        (("--since", "yesterday"), "'yesterday' is no day such as 2024-"),
        (("--until", "9999-12-31"), "'9999-12-31' is no day such as 2024-"),
        (("--since", "2024-02-01", "--until", "2024-01-01"), "until must be after since"),
        (("--only", ""), "only needs"),
        (("--for", "soon"), "--for"),
        (("--for", "0s"), "--for"),
        (("--share", "150%"), "--share"),
        (("--share", "0%"), "--share"),
    ],
)
def test_what_cannot_be_selected_is_said_at_once(
    sandbox: SandboxThread, history: Path, words: tuple[str, ...], complaint: str
) -> None:
    """Nothing is read, written or sent."""
    outbox = history.parent / "o.db"
    end = leadconnector("import", history, *at(sandbox, outbox), *words)
    assert end.exit_code == 2
    assert complaint in end.output
    assert not outbox.exists()
    assert not sandbox.requests


def test_a_word_that_is_in_no_record_sends_nothing(sandbox: SandboxThread, history: Path) -> None:
    """It is most likely misspelt. What is staged stays, and the next command goes on."""
    found = run(sandbox, history, "--only", "SNS", status=1)
    assert "SNS" in found["error"]
    assert not sandbox.messages
    assert run(sandbox, history)["sent"] == 60


@pytest.mark.slow
def test_a_run_that_is_out_of_time_says_so(history: Path) -> None:
    """Exit status 4: what is in flight is finished, and the same command goes on."""
    with SandboxThread(SandboxConfig(latency=Latency(up=0.2, down=0.2))) as sandbox:
        words = "--concurrency", 1, "--for"
        found = run(sandbox, history, *words, "1s", status=4)
        assert found["ended"] == "time_up"
        assert found["pending"] > 0
        assert found["later"] == 0
        stored = len(sandbox.messages)
        assert stored == found["sent"] == 60 - found["pending"]
    with SandboxThread() as sandbox:
        assert run(sandbox, history, "--for", "1h", of="p.db")["ended"] == "done"


@pytest.mark.slow
def test_a_share_of_the_quota_is_in_the_estimate(sandbox: SandboxThread, history: Path) -> None:
    """Half of the quota takes twice the time; --for says in how many runs."""
    outbox = history.parent / "o.db"
    words = "import", history, *at(sandbox, outbox)[:-2], "--quota", "6/10", "--dry-run"
    whole = result_of(leadconnector(*words, "--json").stdout)
    half = result_of(leadconnector(*words, "--share", "50%", "--json").stdout)
    assert half["estimate_s"] == 2 * whole["estimate_s"]
    said = leadconnector(*words, "--share", "50%", "--for", "20s").output
    assert "50 % of the quota of 6 per 10 s" in said
    assert "10 runs of 20 s" in said
