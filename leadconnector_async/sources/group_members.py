"""Whom a message of a backup is with, where it may have been a group's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from leadconnector_async.leave_out import LEAVE_OUT
from leadconnector_async.sources.phone_numbers import is_one, people_in, withheld
from leadconnector_async.sources.values import WrongValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from leadconnector_async.sources.base import SourceOptions
    from leadconnector_async.sources.contact_values import Contacts
    from leadconnector_async.sources.mapping import Members

Inner = tuple[str, dict[str, str]]

EACH: Final = "messages sent to a group: one is made for each of its members"

FIRST: Final = "messages sent to a group, which go to the first of its members"


class With(NamedTuple):
    """The people whom a message is with: a record for each. ``members`` are all, of a group."""

    people: Sequence[str | WrongValueError]
    members: Sequence[str] = ()
    notice: str | None = None
    left_out: str | None = None


class Groups:
    """Tells the other side of messages. What it learns of the owner's numbers, contacts keep."""

    def __init__(self, contacts: Contacts, options: SourceOptions) -> None:
        self._contacts = contacts
        self._policy = options.groups
        self._left_out = "groups" in options.leave_out

    def tell(
        self, rule: Members, address: str | None, inner: Iterable[Inner], direction: object
    ) -> With:
        """Tell it from the addresses within a message, and from the one of the message itself."""
        own = self._contacts.own
        if (
            not rule.element
            and address
            and is_one(address)
            and self._contacts.same(address) not in own
        ):
            return With((address,))
        roles = [(at, role) for at, role in _addresses(rule, inner) if at not in rule.own]
        senders = [at for at, role in roles if role in rule.senders]
        listed = people_in(address) if address and address not in rule.own else []
        outbound = direction == "outbound"
        if outbound:
            own |= {self._contacts.same(at) for at in senders}
        to = [at for at, role in roles if role in rule.recipients]
        members = self._contacts.others(
            [*senders, *to, *(listed if len(listed) > 1 or not to else ())]
        )
        if outbound:
            people = self._contacts.others([*to, *(listed if len(listed) > 1 or not to else ())])
            return self._sent(people, members)
        wrote = self._contacts.others([*senders, *(listed if len(listed) == 1 else ())])
        wrote = sorted(wrote, key=lambda address: "@" in address)[:1]  # numbers before other ids
        is_group = len(listed) > 1 or len(to) > 1
        if is_group and self._left_out:
            return With((), left_out=LEAVE_OUT["groups"])
        if not wrote and not is_group:
            wrote = self._contacts.others(to)[:1]
        unknown = _unsigned() if is_group else withheld()
        return With(wrote or [unknown], members if is_group or not wrote else ())

    def _sent(self, people: list[str], members: list[str]) -> With:
        if len(people) < 2:  # noqa: PLR2004 - several are a group
            return With(people or [withheld()], () if people else members)
        if self._left_out:
            return With((), left_out=LEAVE_OUT["groups"])
        if self._policy == "first":
            return With(people[:1], members, FIRST)
        return With(people, members, EACH)


def _addresses(rule: Members, inner: Iterable[Inner]) -> list[tuple[str, str]]:
    found = (
        (attributes.get(rule.attribute, ""), attributes.get(rule.role, ""))
        for name, attributes in inner
        if name == rule.element
    )
    return [(address, role) for address, role in found if address not in ("", "null")]


def _unsigned() -> WrongValueError:
    return WrongValueError(
        "is a group's, and does not tell who wrote it",
        "write the sender's number, which is among the members, or give --leave-out groups",
        kind="groups",
    )
