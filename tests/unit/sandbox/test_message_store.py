from __future__ import annotations

from leadconnector_async.sandbox.config import SandboxConfig
from leadconnector_async.sandbox.message_store import derived_id
from leadconnector_async.sandbox.state import SandboxState


def test_ids_look_like_the_api_s_and_never_repeat() -> None:
    """An id is 20 letters and digits, and no two of a sequence are the same."""
    ids = SandboxState(SandboxConfig(seed=1)).ids
    drawn = [ids() for _ in range(20_000)]
    assert len(set(drawn)) == 20_000
    assert all(len(one) == 20 and one.isalnum() and one.isascii() for one in drawn)
    assert all(len({one[place] for one in drawn}) == 62 for place in range(20))


def test_the_seed_decides() -> None:
    """The same seed gives the same ids, another seed gives others."""
    first, again, other = (SandboxState(SandboxConfig(seed=seed)).ids for seed in (7, 7, 8))
    assert [first() for _ in range(5)] == [again() for _ in range(5)]
    assert first() != other()


def test_derived_ids_follow_from_their_parts() -> None:
    """The same parts give the same id; parts are kept apart."""
    assert derived_id("a", "b", 1) == derived_id("a", "b", 1)
    assert derived_id("a", "bc") != derived_id("ab", "c")
    assert len(derived_id("x")) == 20
