"""What a source holds that its owner may not want to import, by kind."""

from typing import Final

LEAVE_OUT: Final[dict[str, str]] = {
    "short-codes": "short codes, which are no contact's number",
    "names": "senders that are a name, such as a company's, and no number",
    "withheld": "withheld numbers",
    "service-numbers": "numbers of services, such as 911 and *86",
    "groups": "messages of a group",
    "chats": "chats kept among mails",
    "bounces": "mails that could not be delivered, and automatic answers",
}
"""What of a source can be left out if its owner says so, by the name of each kind."""

NUMBERLESS: Final = frozenset({"short-codes", "names", "withheld", "service-numbers"})
"""The kinds that have no number under which a contact could be found or made."""
