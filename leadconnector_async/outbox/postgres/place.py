"""Where an outbox in a database is: its URL, which is shown without its password."""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from leadconnector_async.errors import OutboxUnusableError
from leadconnector_async.outbox.database import fault

DEFAULT_SCHEMA: Final = "leadconnector"

_FORM: Final = "postgresql://USER@HOST:PORT/DATABASE?schema=NAME"

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,56}")
"""The server keeps 63 characters, of which `_moved` may take six."""

_TAKEN: Final = re.compile(r"(?:pg_.*|information_schema)", re.IGNORECASE)

_SETTINGS: Final = re.compile(
    "host|port|user|dbname|database|ssl[a-z_]*|target_session_attrs|passfile|service|servicefile|"
    "gsslib|krbsrvname|password"
)
"""What a URL may say besides. Nothing else is shown or passed on: it may be part of a password."""

_SECRET: Final = frozenset({"password", "sslpassword"})

UNREADABLE: Final = (
    f"the outbox's URL cannot be read: write {_FORM}, with %40 for @, %2F for /, %3F for ? and "
    "%23 for # in a password"
)


class PostgresPlace(NamedTuple):
    """A schema of a database, and how to connect to that."""

    dsn: str
    schema: str
    shown: str
    """The URL as it may be printed: without a password."""

    def lock_key(self, kind: int, number: int = 0) -> int:
        """The key of an advisory lock: 64 bits, of which the upper half is the schema's."""
        digest = blake2b(self.schema.encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big", signed=True) << 32 | kind << 24 | number

    def channel(self, of: str) -> str:
        """The channel in which processes tell each other of something."""
        return f"leadconnector_{blake2b(self.schema.encode(), digest_size=8).hexdigest()}_{of}"

    def __repr__(self) -> str:
        return f"PostgresPlace({self.shown!r})"


def read_place(url: str) -> PostgresPlace:
    """Read a URL.

    Raises:
        OutboxUnusableError: it is none; the message does not quote it, since it may hold a
            password.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
        query = parse_qsl(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise OutboxUnusableError(UNREADABLE) from None
    if parts.scheme not in {"postgresql", "postgres"} or "://" not in url:
        raise OutboxUnusableError(f"an outbox is in a file, or in PostgreSQL: write {_FORM}")
    # An unescaped character of a password ends the part of the URL that it stands in.
    if parts.fragment or "@" in parts.path or "@" in parts.query:
        raise OutboxUnusableError(UNREADABLE)
    given = dict(query)
    schema = given.pop("schema", DEFAULT_SCHEMA)
    if not all(map(_SETTINGS.fullmatch, given)):
        wrong = "the outbox's URL has a setting that is not known"
        raise OutboxUnusableError(f"{wrong}: write {_FORM}")
    if not _NAME.fullmatch(schema) or _TAKEN.fullmatch(schema):
        raise OutboxUnusableError(fault("no_schema"))
    user, _, host = parts.netloc.rpartition("@")
    shown = {name: value for name, value in query if name not in _SECRET}
    return PostgresPlace(
        _url(parts, parts.netloc, given),
        schema,
        _url(parts, f"{user.partition(':')[0]}@{host}" if user else host, shown),
    )


def _url(parts: SplitResult, netloc: str, query: Mapping[str, str]) -> str:
    # geturl() leaves the slashes out where there is no host.
    words = urlencode(query, safe="/")
    return f"{parts.scheme}://{netloc}{parts.path}{'?' if words else ''}{words}"
