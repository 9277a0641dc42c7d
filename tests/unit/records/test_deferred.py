from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from leadconnector_async.models import Contact
from leadconnector_async.records.deferred import (
    Deferred,
    FileLostError,
    LocalFile,
    answers_last,
    are_local,
    content_digest,
    forgotten,
    located,
    read_deferred,
    with_contact,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FULL = Deferred(
    contact=Contact(phone="+1", name="Kim"),
    attachments=["https://x/y", LocalFile("/secret/a.png", "d1"), LocalFile("/b.pdf", "d2")],
    mail="m1",
    answers=["m0"],
    outbound_call=True,
)


def test_late_parts_are_read_as_they_were_written() -> None:
    """Files stay files, and URLs stay URLs, in their order."""
    assert read_deferred(FULL.encoded()) == FULL
    assert [file.digest for file in FULL.files] == ["d1", "d2"]


def test_nothing_late_is_false_and_short() -> None:
    """So nearly all records keep nothing of it."""
    assert not Deferred()
    assert Deferred().encoded() == "{}"
    assert FULL


def test_a_file_does_not_show_where_it_lies() -> None:
    """Names of files can be private."""
    assert "secret" not in repr(FULL)


def test_a_contact_is_put_into_a_body() -> None:
    """As sources name it; a body that cannot be read stays as it is."""
    body = with_contact(b'{"type":"SMS"}', Contact(phone="+1"))
    assert json.loads(body) == {"type": "SMS", "contact": {"phone": "+1"}}
    assert with_contact(b"{}", None) == b"{}"
    odd = Contact(phone=object())  # type: ignore[arg-type]  # what a program may do
    assert with_contact(b"{}", odd) == b"{}"


def moved(mails: Mapping[str, tuple[int, Sequence[str]]], *, lanes: int = 1) -> dict[str, int]:
    """The dates of mails after the move; each has a date, and those that it answers."""
    dates = {name: date for name, (date, _) in mails.items()}
    rows = [
        (1, seq % lanes, date, seq, Deferred(mail=name, answers=list(answers)).encoded())
        for seq, (name, (date, answers)) in enumerate(mails.items(), 1)
    ]
    for date, seq in answers_last(sorted(rows)):
        dates[list(mails)[seq - 1]] = date
    return dates


def test_mails_in_order_stay() -> None:
    """Nearly all."""
    assert moved({"q": (1, ()), "a": (5, "q"), "b": (9, "aq")}) == {"q": 1, "a": 5, "b": 9}


def test_an_answer_comes_after_its_question() -> None:
    """By one millisecond; so does the answer to it."""
    assert moved({"q": (9, ()), "a": (5, "q"), "b": (1, "a")}) == {"q": 9, "a": 10, "b": 11}


def test_an_answer_to_what_was_moved_comes_after_it() -> None:
    """Though it stood behind it before, and nothing was wrong between the two."""
    mails = {"a": (1, "q"), "b": (2, "a"), "q": (3, ())}
    assert moved(mails) == {"a": 4, "b": 5, "q": 3}


def test_what_is_answered_may_be_missing() -> None:
    """Or be the mail itself."""
    assert moved({"a": (5, "xa"), "b": (1, "x")}) == {"a": 5, "b": 1}


def test_lanes_do_not_wait_for_each_other() -> None:
    """A thread belongs to one conversation."""
    assert moved({"q": (9, ()), "a": (5, "q")}, lanes=2) == {"q": 9, "a": 5}


def test_a_circle_is_cut() -> None:
    """Where it closes; what leads to it comes after it, and no more is moved than that."""
    dates = moved({"a": (1, "c"), "b": (2, "a"), "c": (3, "b")})
    assert dates == {"a": 4, "b": 2, "c": 3}
    assert moved({"r": (1, "x"), "x": (50, "y"), "y": (10, "x")}) == {"r": 51, "x": 50, "y": 10}


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["circle", "reversed", "forward", "star"])
def test_thousands_of_mails_of_any_shape_are_put_in_order(shape: str) -> None:
    """Whatever they say of each other: deep ones too, since nothing recurses."""
    count = 2_500
    answers: dict[str, Callable[[int], list[str]]] = {
        "circle": lambda n: [str((n + 1) % count)],
        "reversed": lambda n: [str(n + 1)],
        "forward": lambda n: [str(m) for m in range(max(0, n - 20), n)],
        "star": lambda n: [str(m) for m in range(20)],  # noqa: ARG005 - all answer the same
    }
    mails = {str(n): (n, answers[shape](n)) for n in range(count)}
    dates = moved(mails)
    if shape == "reversed":
        assert [dates[str(n)] for n in (count - 1, count - 2, 0)] == [2_499, 2_500, 4_998]


FAR = "https://example.com/a%20b.png"


def test_files_are_told_from_urls() -> None:
    """By their scheme alone."""
    assert are_local([FAR, "file:///a.png"])
    assert not are_local([FAR])
    assert not are_local([])
    assert not are_local(None)


def test_a_file_is_known_by_what_it_holds(tmp_path: Path) -> None:
    """Equal contents have equal digests, wherever they lie and whatever they are called."""
    (tmp_path / "a b#?.png").write_bytes(b"one")
    (tmp_path / "c.png").write_bytes(b"one")
    (tmp_path / "d.png").write_bytes(b"two")
    paths = [tmp_path / name for name in ("a b#?.png", "c.png", "d.png")]
    one, far, equal, other = located([paths[0].as_uri(), FAR, *(p.as_uri() for p in paths[1:])])
    assert far == FAR
    assert not isinstance(one, str)
    assert not isinstance(equal, str)
    assert not isinstance(other, str)
    assert (one.path, equal.path) == (str(paths[0]), str(paths[1]))
    assert one.digest == equal.digest != other.digest


@pytest.mark.parametrize("name", ["none.png", "folder", "none/none.png", "a%00b", "file://[x/a"])
def test_a_file_that_cannot_be_read_is_a_problem(name: str, tmp_path: Path) -> None:
    """Of its item, with the way out."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileLostError) as error:
        located([FAR, name if "://" in name else f"{tmp_path.as_uri()}/{name}"])
    assert error.value.problem.field == "attachments"
    assert error.value.problem.wrong.startswith("item 2 cannot be read (")
    assert "put the file back" in str(error.value)


def test_what_is_no_file_is_a_problem() -> None:
    """A device, or a pipe, which would be read without an end."""
    with pytest.raises(FileLostError, match="is no regular file"):
        located([Path(os.devnull).as_uri()])


def test_who_a_record_is_with_is_what_itself_says() -> None:
    """And not what a directory made of it: that may change, and the record stays the same."""
    assert Deferred(contact=Contact(phone="+1"), said="Kim").who == "Kim"
    assert Deferred(contact=Contact(phone="+1")).who == "+1"


def test_what_a_record_says_includes_its_files_and_whom_it_is_with() -> None:
    """One with another file is another record, and no copy that need not be sent."""
    said = b'{"type":"SMS","message":"hi"}'
    parts = [
        Deferred(),
        Deferred(attachments=[LocalFile("/a", "d1")]),
        Deferred(attachments=[LocalFile("/a", "d2")]),
        Deferred(attachments=["https://example.org/a"]),
        Deferred(contact=Contact(phone="+12125550101")),
        Deferred(contact=Contact(phone="+12125550102")),
    ]
    digests = [content_digest(said, part.encoded()) for part in parts]
    assert len({*digests}) == len(parts)
    files = [content_digest(said, part.encoded(), mail=True) for part in parts[:4]]
    assert len({*files}) == 4
    by_url = b'{"type":"SMS","message":"hi","attachments":["https://example.org/a"]}'
    assert content_digest(by_url, None, mail=True) == files[3]


def test_a_record_whose_texts_are_forgotten_is_still_told_from_others() -> None:
    """Read again it is known; forgotten twice it is the same."""
    said = b'{"type":"Email","message":"a  secret","subject":"s","date":"2024-05-01T09:30:00Z"}'
    part = Deferred(attachments=[LocalFile("/a", "d1")]).encoded()
    kept = forgotten(said, part)
    assert b"secret" not in kept
    assert forgotten(kept, part) == kept
    digests = [content_digest(said, part, mail=mail) for mail in (False, True)]
    assert [content_digest(kept, None, mail=mail) for mail in (False, True)] == digests
    assert digests[0] != digests[1]
