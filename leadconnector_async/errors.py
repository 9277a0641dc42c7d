"""Every exception this library raises.

::

    LeadConnectorError
    ├── InvalidMessageError       the message breaks a rule; nothing was sent (also a ValueError)
    ├── ClosedError               the client was closed before (also a RuntimeError)
    ├── RefusedError              the API said no; nothing was stored
    │   ├── AccessError           this token, or this base URL, cannot be used for this location
    │   ├── ThrottledError        429 for longer than the policy waits
    │   └── DailyQuotaSpentError  the day's budget of the location is used up
    ├── TransportError
    │   ├── NotSentError          no byte of the request reached the API
    │   └── FateUnknownError      the request may have been stored
    ├── SourceError               a file that cannot be read as records
    ├── SelectionError            a selection of records that are not there
    ├── LocationsError            a file of locations that cannot be used
    ├── TokenStoreError           the file that keeps OAuth's tokens failed
    └── OutboxError
        ├── OutboxBusyError       another process owns the outbox
        ├── LeaseLostError        a location was taken over by another holder
        ├── OutboxUnusableError   not an outbox, damaged, or of another version
        └── OutboxWriteError      the disk refused a write

None of them carries a token or the text of a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from leadconnector_async.public_place import name_public_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadconnector_async.models import Problem, Refusal


class LeadConnectorError(Exception):
    """Base of every exception raised by this library.

    Example:
        >>> try:
        ...     await api.add_inbound_message(InboundMessage(type="SMS", direction="inbound"))
        ... except InvalidMessageError as error:
        ...     print(error.problems[0].field)
        ... except LeadConnectorError as error:
        ...     print("not sent, or nobody knows:", error)
        contactId
    """


class InvalidMessageError(LeadConnectorError, ValueError):
    """A message that breaks a documented rule. Nothing was sent.

    ``problems`` lists every field at fault, not just the first.

    Example:
        >>> try:
        ...     await api.find_contact(number="12")
        ... except InvalidMessageError as error:
        ...     print(error.problems[0].field)
        contact.phone
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems: tuple[Problem, ...] = tuple(problems)

    def __reduce__(self) -> tuple[type[Self], tuple[Sequence[Problem]], dict[str, object]]:
        return type(self), (self.problems,), vars(self)


CLOSED: Final = "the client is closed: make a new LeadConnector"


class ClosedError(LeadConnectorError, RuntimeError):
    """The client, its session or the ingestor was closed before. Nothing was sent.

    Example:
        >>> await api.close()
        >>> try:
        ...     await api.search_conversations()
        ... except ClosedError as error:
        ...     print(error)
        the client is closed: make a new LeadConnector
    """


class RefusedError(LeadConnectorError):
    """The API answered, and stored nothing. ``refusal`` has its status, message, code, trace id.

    Example:
        >>> try:
        ...     await api.mark_read("of-nobody")
        ... except RefusedError as error:
        ...     print(error.status)
        400
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal

    def __reduce__(self) -> tuple[type[Self], tuple[Refusal], dict[str, object]]:
        return type(self), (self.refusal,), vars(self)

    @property
    def status(self) -> int:
        """HTTP status of the answer."""
        return self.refusal.status

    @property
    def canonical_code(self) -> str | None:
        """The API's ``canonicalCode``, where it gave one."""
        return self.refusal.canonical_code

    @property
    def trace_id(self) -> str | None:
        """The API's ``traceId``, to be quoted to its support."""
        return self.refusal.trace_id


class AccessError(RefusedError):
    """The token is refused for this location for good, or the API is not at the base URL.

    Example:
        >>> error = AccessError(Refusal(status=401, message="Invalid JWT"))
        >>> print(error.status, error)
        401 401 Invalid JWT
    """


class ThrottledError(RefusedError):
    """The API kept answering 429.

    Example:
        >>> ThrottledError(Refusal(status=429, message="Too Many Requests")).status
        429
    """


class DailyQuotaSpentError(RefusedError):
    """The location's budget of the day is used up.

    Example:
        >>> DailyQuotaSpentError(Refusal(status=429, message="Too Many Requests")).status
        429
    """


class TransportError(LeadConnectorError):
    """No usable answer came back.

    Example:
        >>> try:
        ...     found = await api.search_conversations()
        ... except TransportError:
        ...     found = []  # reads were tried again already, as often as the policy says
    """


class NotSentError(TransportError):
    """The request provably did not reach the API: sending it again is safe.

    Example:
        >>> try:
        ...     await api.mark_read("BTGqKhdyPhqWxSaQnNSr")
        ... except NotSentError:
        ...     print("nothing was changed")
        ... except RefusedError:
        ...     print("there is none")
        there is none
    """


class FateUnknownError(TransportError):
    """The request may have been stored: sending it again may store it twice.

    Example:
        >>> try:
        ...     came = await api.upsert_contact(Contact("+12125550100"))
        ... except FateUnknownError:
        ...     came = None  # perhaps it was made: look before you do it again
    """


class SourceError(LeadConnectorError):
    """A source that cannot be read. The message names file, line and fix.

    Example:
        >>> try:
        ...     await import_files(api, ["missing.csv"], outbox="import.db")
        ... except SourceError as error:
        ...     print(error)
        missing.csv...
    """


class SelectionError(LeadConnectorError):
    """A selection that no record meets. Nothing was sent.

    Example:
        >>> try:
        ...     await import_files(api, ["history.csv"], outbox="import.db", only=["no-such-id"])
        ... except SelectionError:
        ...     print("nobody has this id")
        nobody has this id
    """


class LocationsError(LeadConnectorError):
    """A file of locations that cannot be used. The message names file, location, key and fix.

    Example:
        >>> str(LocationsError("locations.toml: location-a has no token: give one"))
        'locations.toml: location-a has no token: give one'
    """


class TokenStoreError(LeadConnectorError):
    """The file that keeps OAuth's tokens cannot be used. Nothing was sent without it.

    Example:
        >>> str(TokenStoreError("tokens.json cannot be written: make room on the disk"))
        'tokens.json cannot be written: make room on the disk'
    """


class OutboxError(LeadConnectorError):
    """The durable store failed. The run stops; nothing is sent without a claim on disk.

    Example:
        >>> try:
        ...     async with Ingestor(api, outbox="import.db") as ingestor:
        ...         outcomes = [outcome async for outcome in ingestor.run()]
        ... except OutboxError as error:
        ...     print("the same run again goes on:", error)
    """


class OutboxBusyError(OutboxError):
    """Another process owns this outbox.

    Example:
        >>> async with Ingestor(api, outbox="import.db"):
        ...     try:
        ...         async with Ingestor(api, outbox="import.db"):
        ...             pass
        ...     except OutboxBusyError:
        ...         print("another one has it")
        another one has it
    """


class LeaseLostError(OutboxError):
    """A later lease of the location was given: this holder writes nothing of it any more.

    Example:
        >>> issubclass(LeaseLostError, OutboxError)  # another process goes on with the location
        True
    """


class OutboxUnusableError(OutboxError):
    """The file is no outbox, is damaged, or was written by another version.

    Example:
        >>> try:
        ...     async with Ingestor(api, outbox="history.csv"):
        ...         pass
        ... except OutboxUnusableError:
        ...     print("this is no outbox")
        this is no outbox
    """


class OutboxWriteError(OutboxError):
    """A write or sync failed (disk full, read-only folder, I/O error).

    Example:
        >>> str(OutboxWriteError("import.db: the disk is full: make room, and run again"))
        'import.db: the disk is full: make room, and run again'
    """


name_public_place(globals())
