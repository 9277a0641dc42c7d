from __future__ import annotations

import pytest
from steps_kit import HTML, Played, answer

from leadconnector_async.api.contacts import find_owner, open_conversation
from leadconnector_async.api.effects import StepFailedError, StepLagsError, StepRefusedError

EXISTS = answer(400, b'{"message":"Conversation with the contact id:c already exists!"}')


def opened(*answers: object) -> Played:
    """Open the conversation of contact c."""
    return Played(open_conversation("l", "c"), answers)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [200, 201])
def test_a_conversation_is_opened(status: int) -> None:
    """The path keeps its trailing slash."""
    played = opened(answer(status, b'{"success":true,"conversation":{"id":"v1"}}'))
    assert (played.result, played.asked) == ("v1", ["POST /conversations/"])


def test_one_that_exists_is_searched_for() -> None:
    """That of another contact is not taken."""
    body = b'{"conversations":[{"id":"v0","contactId":"x"},{"id":"v1","contactId":"c"}]}'
    played = opened(EXISTS, answer(200, body))
    assert played.result == "v1"
    assert played.asked[1] == "GET /conversations/search?locationId=l&contactId=c"


@pytest.mark.parametrize(
    "body", [b'{"total":0}', b'{"conversations":[{"id":"v","contactId":"x"}]}']
)
def test_one_that_does_not_show_yet_is_waited_for(body: bytes) -> None:
    """The search lags behind."""
    with pytest.raises(StepLagsError, match="does not show it yet"):
        opened(EXISTS, answer(200, body))


@pytest.mark.parametrize("body", [b"", HTML, b"{}", b'{"conversation":{}}', b'{"conversation":7}'])
def test_an_answer_without_an_id_is_asked_for_again(body: bytes) -> None:
    """It may have been opened."""
    with pytest.raises(StepFailedError, match="could not be opened"):
        opened(answer(201, body))


def test_other_refusals_are_for_good() -> None:
    """As of a contact that is not there."""
    with pytest.raises(StepRefusedError, match="could not be opened: 400 Contact not found"):
        opened(answer(400, b'{"message":"Contact not found"}'))
    with pytest.raises(StepFailedError, match="could not be found: 503"):
        opened(EXISTS, answer(503))


def test_a_conversation_names_its_contact() -> None:
    """Its id is encoded into the path."""
    played = Played(find_owner("v/1"), [answer(200, b'{"id":"v/1","contactId":"c"}')])
    assert (played.result, played.asked) == ("c", ["GET /conversations/v%2F1"])
    with pytest.raises(StepRefusedError, match="404"):
        Played(find_owner("v1"), [answer(404)])
    with pytest.raises(StepFailedError):
        Played(find_owner("v1"), [answer(200, b"{}")])
