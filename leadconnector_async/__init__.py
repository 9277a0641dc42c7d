"""Move message history into LeadConnector (HighLevel) conversations: fast, complete, once.

Names are imported when they are first used, so that importing the package costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from leadconnector_async._aiohttp import Timeouts
    from leadconnector_async._client import LeadConnector
    from leadconnector_async._errors import (
        AccessError,
        ClosedError,
        DailyQuotaSpent,
        FateUnknownError,
        InvalidMessage,
        LeadConnectorError,
        LocationsError,
        NotSentError,
        OutboxBusy,
        OutboxError,
        OutboxUnusable,
        OutboxWriteFailed,
        RefusedError,
        SourceError,
        ThrottledError,
        TokenStoreError,
        TransportError,
    )
    from leadconnector_async._ingestor import Ingestor
    from leadconnector_async._messages import (
        Call,
        Contact,
        InboundMessage,
        Outcome,
        Problem,
        Receipt,
        Record,
        Refusal,
        Rejected,
        Sent,
        Unresolved,
    )
    from leadconnector_async._policy import Policy
    from leadconnector_async._quota import RateLimit
    from leadconnector_async._tokens import StaticToken, TokenProvider
    from leadconnector_async._tokens.oauth import OAuth

__all__ = [
    "AccessError",
    "Call",
    "ClosedError",
    "Contact",
    "DailyQuotaSpent",
    "FateUnknownError",
    "InboundMessage",
    "Ingestor",
    "InvalidMessage",
    "LeadConnector",
    "LeadConnectorError",
    "LocationsError",
    "NotSentError",
    "OAuth",
    "OutboxBusy",
    "OutboxError",
    "OutboxUnusable",
    "OutboxWriteFailed",
    "Outcome",
    "Policy",
    "Problem",
    "RateLimit",
    "Receipt",
    "Record",
    "Refusal",
    "RefusedError",
    "Rejected",
    "Sent",
    "SourceError",
    "StaticToken",
    "ThrottledError",
    "Timeouts",
    "TokenProvider",
    "TokenStoreError",
    "TransportError",
    "Unresolved",
]

__version__ = "0.1.0"

_HOMES: Final = {
    "_aiohttp": ("Timeouts",),
    "_client": ("LeadConnector",),
    "_errors": (
        "AccessError",
        "ClosedError",
        "DailyQuotaSpent",
        "FateUnknownError",
        "InvalidMessage",
        "LeadConnectorError",
        "LocationsError",
        "NotSentError",
        "OutboxBusy",
        "OutboxError",
        "OutboxUnusable",
        "OutboxWriteFailed",
        "RefusedError",
        "SourceError",
        "ThrottledError",
        "TokenStoreError",
        "TransportError",
    ),
    "_ingestor": ("Ingestor",),
    "_messages": (
        "Call",
        "Contact",
        "InboundMessage",
        "Outcome",
        "Problem",
        "Receipt",
        "Record",
        "Refusal",
        "Rejected",
        "Sent",
        "Unresolved",
    ),
    "_policy": ("Policy",),
    "_quota": ("RateLimit",),
    "_tokens": ("StaticToken", "TokenProvider"),
    "_tokens.oauth": ("OAuth",),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type checker reads the imports above
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
