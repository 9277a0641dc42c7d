"""Why messages are not there, in sentences for whose messages they are."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadconnector_async.reports.history_report import ReasonCount

_SENTENCES: Final = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (
            r"contactId is missing|contact(\.name)? ",
            "It names nobody whom LeadConnector could know: no number and no e-mail address.",
        ),
        (r".*short code", "It came from a short code, which is a service's number."),
        (r".*(withheld|private number|anonymous)", "The other side withheld its number."),
        (
            r"contact\.phone|.*\b(telephone|phone) number",
            "The other side's telephone number cannot be used.",
        ),
        (r"contact\.email", "The other side's e-mail address cannot be used."),
        (r"(direction|call\.\w+) ", "It does not say clearly who wrote, or called, whom."),
        (r"date ", "Its date is missing, or cannot be read with certainty."),
        (r"message is missing", "It has no text and no attachment."),
        (r"type ", "It does not say what kind of message it is."),
        (r"attachments .*larger", "An attached file is larger than LeadConnector takes."),
        (r"attachments .*(type of file|415)", "LeadConnector takes no files of this type."),
        (r"attachments .*413", "An attached file is larger than LeadConnector takes."),
        (r"attachments ", "An attached file was not there, or could not be read."),
        (
            r"conversationProviderId|.*[cC]onversationProvider|.*Incorrect conversationProvider",
            "The channel of the message is not set up in LeadConnector.",
        ),
        (r"(id|altId) ", "It has the same number as another record, or none that can be used."),
        (r"locationId|40[13] ", "It belongs to an account to which there was no access."),
        (r"mail ", "The e-mail is damaged, or too long to be read."),
        (r"(file|line|record|row|text|raw|cells?) ", "Its place in the file is damaged."),
        (r".*(Contact|contact) not found", "LeadConnector does not know the contact."),
        (r".*Conversation not found", "LeadConnector does not know the conversation."),
        (r".*contact.*(cannot|could not) be", "The contact could not be found or added."),
        (r"(5\d\d|429) |.*attempts\)", "LeadConnector did not answer as it should, repeatedly."),
        (r"4\d\d ", "LeadConnector refused it."),
    )
)

_OTHER: Final = "It could not be used as it stands in the file."

_UNRESOLVED: Final = "LeadConnector gave no clear answer, and it could not be found out later."


def plain(why: ReasonCount) -> str:
    """A reason without the words of files and interfaces. Of several the first one counts."""
    if why.unresolved:
        return _UNRESOLVED
    return next((said for rule, said in _SENTENCES if rule.match(why.reason)), _OTHER)


def in_plain_words(reasons: Iterable[ReasonCount]) -> list[tuple[str, int]]:
    """Reasons with their counts, the most frequent first."""
    counts: Counter[str] = Counter()
    for why in reasons:
        counts[plain(why)] += why.count
    return counts.most_common()
