from __future__ import annotations

from typing import Any

import pytest

from leadconnector_async.models import Contact
from leadconnector_async.records.validation import verified_contact


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        ({"phone": "+1 (212) 555-0101"}, {"phone": "+12125550101"}),
        ({"phone": " +12125550101 ", "name": " Kim "}, {"phone": "+12125550101", "name": "Kim"}),
        ({"email": " Kim@Example.ORG "}, {"email": "kim@example.org"}),
        ({"phone": "", "email": "k@x.org", "name": ""}, {"email": "k@x.org"}),
    ],
)
def test_a_contact_has_one_spelling(given: dict[str, str], spelled: dict[str, str]) -> None:
    """So that two spellings are one contact, and one lane."""
    assert verified_contact(Contact(**given)) == (Contact(**spelled), ())


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "contact"),
        ({"name": "Kim"}, "contact"),
        ({"phone": "212 555 0101"}, "contact.phone"),
        ({"phone": "+0123456789"}, "contact.phone"),
        ({"phone": "+1212555010X"}, "contact.phone"),
        ({"phone": "+1"}, "contact.phone"),
        ({"email": "kim"}, "contact.email"),
        ({"email": "kim@a b"}, "contact.email"),
        ({"email": "a@b@c"}, "contact.email"),
        ({"phone": 12125550101}, "contact"),
        ({"email": object()}, "contact"),
    ],
)
def test_what_finds_nobody_for_sure_is_a_problem(given: dict[str, Any], field: str) -> None:
    """No country is guessed, and the value is not repeated."""
    contact, problems = verified_contact(Contact(**given))
    assert contact is None
    assert [problem.field for problem in problems] == [field]
    assert "212" not in problems[0].wrong
