"""Mails that SMS Backup+ makes of a telephone's messages and calls, which its headers tell."""

from contextlib import suppress
from typing import Final

from leadconnector_async.sources.fields import WrongValueError
from leadconnector_async.sources.formats.mail_headers import Head, LeftOutError
from leadconnector_async.sources.values.contact_values import Contacts

Values = dict[str, object]

_KINDS: Final = {"SMS": "SMS", "MMS": "SMS", "WHATSAPP": "WhatsApp", "CALLLOG": "Call"}

_DIRECTIONS: Final = {"1": "inbound", "2": "outbound", "132": "inbound", "128": "outbound"}
"""Of messages, by the numbers that Android has for what became of them; those of an MMS are its
types in WAP-209."""

_LEFT_OUT: Final = {"3": "drafts"} | dict.fromkeys("456", "messages that were never sent")

_STATES: Final = {"1": "completed", "2": "completed", "4": "voicemail", "5": "busy"}
"""Of calls, by the same; the others were missed."""

_KEPT: Final = ("id", "date", "contact.name", "message", "attachments")


def of_phone(head: Head, values: Values, contacts: Contacts) -> Values:
    """Give the values of the message that a mail was made of; those of any other are as they were.

    Raises:
        LeftOutError: it was never sent.
    """
    kind = _KINDS.get(head.first("x-smssync-datatype").upper())
    if kind is None:
        return values
    phone, state = head.first("x-smssync-address"), head.first("x-smssync-type")
    if kind != "Call" and state in _LEFT_OUT:
        raise LeftOutError(_LEFT_OUT[state], head.id)
    default = "inbound" if kind == "Call" else values.get("direction")
    told: Values = {
        "type": kind,
        "direction": _DIRECTIONS.get(state, default),
        "contact.phone": phone or None,
    }
    if kind == "Call":
        told["call.status"] = _STATES.get(state, "no-answer")
        with suppress(WrongValueError):  # which is told of the contact's
            end = "call.to" if told["direction"] == "outbound" else "call.from"
            told[end] = contacts.phone(phone)
    return {name: values[name] for name in _KEPT if name in values} | told
