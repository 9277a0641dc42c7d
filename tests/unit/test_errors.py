from __future__ import annotations

import copy
import pickle
import re

import pytest

from leadconnector_async import errors
from leadconnector_async.errors import (
    AccessError,
    DailyQuotaSpentError,
    InvalidMessageError,
    LeadConnectorError,
    RefusedError,
    ThrottledError,
)
from leadconnector_async.models import Problem, Refusal

REFUSAL = Refusal(status=403, message="no access", canonical_code="CODE", trace_id="t1")
PROBLEMS = (Problem("date", "has no offset", "add one"), Problem("type", "is odd", "mend it"))


def drawn_tree() -> dict[str, str]:
    """Parent by class, as the module's docstring draws it."""
    tree: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        drawn = re.match(r"    ([│├└─ ]*)([A-Z]\w+)", line)
        if drawn:
            depth = len(drawn[1]) // 4
            path[depth:] = [drawn[2]]
            tree[drawn[2]] = path[depth - 1] if depth else "Exception"
    return tree


def defined_tree() -> dict[str, str]:
    """Parent by class, as the module defines them."""
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    return {
        cls.__name__: cls.__bases__[0].__name__ for cls in classes if issubclass(cls, Exception)
    }


def test_the_docstring_draws_the_tree_of_exceptions() -> None:
    """The drawing and the classes agree: each class once, under its parent."""
    assert len(drawn_tree()) > 10
    assert drawn_tree() == defined_tree()


def test_every_exception_has_the_one_base() -> None:
    """One except clause catches whatever this library raises."""
    for name in defined_tree():
        assert issubclass(getattr(errors, name), LeadConnectorError)


def test_an_invalid_message_names_every_problem() -> None:
    """Not just the first: all of them can be mended in one go. It is a ValueError, too."""
    error = InvalidMessageError(PROBLEMS)
    assert isinstance(error, ValueError)
    assert error.problems == PROBLEMS
    assert str(error) == "date has no offset: add one; type is odd: mend it"


@pytest.mark.parametrize("kind", [RefusedError, AccessError, ThrottledError, DailyQuotaSpentError])
def test_a_refusal_is_all_there(kind: type[RefusedError]) -> None:
    """Status, words, canonical code and trace id are attributes, and in the text."""
    error = kind(REFUSAL)
    assert isinstance(error, RefusedError)
    assert (error.status, error.canonical_code, error.trace_id) == (403, "CODE", "t1")
    assert error.refusal == REFUSAL
    assert str(error) == "403 no access [CODE] (trace t1)"


@pytest.mark.parametrize("error", [InvalidMessageError(PROBLEMS), AccessError(REFUSAL)], ids=repr)
def test_exceptions_survive_a_process_pool(error: LeadConnectorError) -> None:
    """Pickled and copied, they keep their class, their text, what they carry, and notes."""
    error.add_note("of the third file")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)
