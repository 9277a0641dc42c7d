"""Mails keep their threads, through the command. The sandbox refuses a thread it never named."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from late_harness import CLOSED, ME, import_quickly, mail, mailbox, names, run, threads
from samples import sampled

from leadconnector_async.sandbox import Fault, SandboxThread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from leadconnector_async.sandbox.faults import FaultKind

MINE = ("--mine", ME)


@pytest.fixture
def sandbox() -> Iterator[SandboxThread]:
    """A closed sandbox that is strict about threads."""
    with SandboxThread(CLOSED) as sandbox:
        yield sandbox


def test_answers_join_the_thread_of_their_question(sandbox: SandboxThread, tmp_path: Path) -> None:
    """The ``emailMessageId`` of the first mail's answer goes into all later ones."""
    box = mailbox(
        tmp_path,
        mail("q", 0),
        mail("a1", 1, "q", sender=ME, to="kim@example.org"),
        mail("a2", 2, "q", "a1"),
        mail("alone", 3),
    )
    assert run(sandbox, box, *MINE)["sent"] == 4
    assert threads(sandbox) == {"q": "q", "a1": "q", "a2": "q", "alone": "alone"}
    first, *later = sandbox.messages[:3]
    assert "emailMessageId" not in first.fields
    assert [s.fields["emailMessageId"] for s in later] == [first.email_message_id] * 2


def test_an_answer_dated_before_its_question_is_sent_after_it(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """A clock was wrong: the thread is kept, and so is the date that the mail says."""
    box = mailbox(tmp_path, mail("a2", 0, "q", "a1"), mail("a1", 5, "q"), mail("q", 9))
    assert run(sandbox, box, *MINE)["sent"] == 3
    assert names(sandbox) == ["q", "a1", "a2"]
    assert threads(sandbox) == {"q": "q", "a1": "q", "a2": "q"}
    assert sandbox.messages[2].fields["date"].startswith("2024-01-31T10:00:00")


def test_answers_whose_question_is_missing_share_a_thread(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """The question's id ties them together, though it is in no mailbox."""
    box = mailbox(tmp_path, mail("a1", 0, "lost"), mail("a2", 1, "lost"), mail("b", 2, "other"))
    run(sandbox, box, *MINE)
    assert threads(sandbox) == {"a1": "a1", "a2": "a1", "b": "b"}


def test_later_mails_join_the_old_thread(sandbox: SandboxThread, tmp_path: Path) -> None:
    """In a second import; so does the question itself, if its answer came first."""
    run(sandbox, mailbox(tmp_path, mail("q", 0), mail("x2", 9, "x1")), *MINE)
    later = mailbox(tmp_path, mail("a1", 1, "q"), mail("x1", 2), name="later.mbox")
    assert run(sandbox, later, *MINE)["sent"] == 2
    assert threads(sandbox) == {"q": "q", "a1": "q", "x2": "x2", "x1": "x2"}


def test_threads_of_two_people_are_two(sandbox: SandboxThread, tmp_path: Path) -> None:
    """A thread belongs to one conversation."""
    box = mailbox(
        tmp_path,
        mail("q", 0, sender=ME, to="kim@example.org"),
        mail("a", 1, "q", sender="lee@example.org"),
    )
    run(sandbox, box, *MINE)
    assert threads(sandbox) == {"q": "q", "a": "a"}


def test_mails_that_answer_each_other_in_a_circle_are_sent(
    sandbox: SandboxThread, tmp_path: Path
) -> None:
    """Each once, in one thread."""
    box = mailbox(tmp_path, mail("a", 0, "c"), mail("b", 1, "a"), mail("c", 2, "b"))
    assert run(sandbox, box, *MINE)["sent"] == 3
    assert len(set(threads(sandbox).values())) == 1


@pytest.mark.slow
@sampled("kind, when", ["drop", "500", "garbage"], ["before", "after"])
def test_lost_answers_do_not_break_a_thread(kind: FaultKind, when: str, tmp_path: Path) -> None:
    """A mail whose answer was lost is found by looking, and with it the thread."""
    fault = Fault(kind, when=when, probability=0.3)  # type: ignore[arg-type]  # checked by Fault
    mails = [mail("q", 0)]
    mails += [mail(f"a{n}", n, *["q", *(f"a{m}" for m in range(1, n))]) for n in range(1, 12)]
    Random(3).shuffle(mails)
    with SandboxThread(CLOSED) as sandbox:
        sandbox.set_faults(fault)
        summary = import_quickly(sandbox, mailbox(tmp_path, *mails), mine=[ME])
        assert summary.sent == len(sandbox.messages) == 12
        assert set(threads(sandbox).values()) == {"q"}
