"""Move message history into LeadConnector (HighLevel) conversations: fast, complete, once.

Names are imported when they are first used, so that importing the package costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from leadconnector_async.api.listings import ListedMessage
    from leadconnector_async.auth.oauth import OAuth
    from leadconnector_async.auth.provider import StaticToken, TokenProvider
    from leadconnector_async.client import LeadConnector
    from leadconnector_async.errors import (
        AccessError,
        ClosedError,
        DailyQuotaSpentError,
        FateUnknownError,
        InvalidMessageError,
        LeadConnectorError,
        LeaseLostError,
        LocationsError,
        NotSentError,
        OutboxBusyError,
        OutboxError,
        OutboxUnusableError,
        OutboxWriteError,
        RefusedError,
        SelectionError,
        SourceError,
        ThrottledError,
        TokenStoreError,
        TransportError,
    )
    from leadconnector_async.file_importer import import_files
    from leadconnector_async.ingestor import Ingestor
    from leadconnector_async.models import (
        Call,
        Contact,
        ConversationSummary,
        FoundContact,
        InboundMessage,
        Outcome,
        Problem,
        RateLimitHeaders,
        Receipt,
        Record,
        Refusal,
        Rejected,
        Sent,
        Unresolved,
        UpsertedContact,
    )
    from leadconnector_async.policy import Policy
    from leadconnector_async.quota.limits import RateLimit
    from leadconnector_async.reports.progress import ImportProgress
    from leadconnector_async.reports.statistics import Latency, LocationStatistics, Statistics
    from leadconnector_async.reports.summary import ImportSummary
    from leadconnector_async.reports.telemetry import OpenTelemetry
    from leadconnector_async.requester import MessageExport
    from leadconnector_async.transport.aiohttp_session import Timeouts

__all__ = [
    "AccessError",
    "Call",
    "ClosedError",
    "Contact",
    "ConversationSummary",
    "DailyQuotaSpentError",
    "FateUnknownError",
    "FoundContact",
    "ImportProgress",
    "ImportSummary",
    "InboundMessage",
    "Ingestor",
    "InvalidMessageError",
    "Latency",
    "LeadConnector",
    "LeadConnectorError",
    "LeaseLostError",
    "ListedMessage",
    "LocationStatistics",
    "LocationsError",
    "MessageExport",
    "NotSentError",
    "OAuth",
    "OpenTelemetry",
    "OutboxBusyError",
    "OutboxError",
    "OutboxUnusableError",
    "OutboxWriteError",
    "Outcome",
    "Policy",
    "Problem",
    "RateLimit",
    "RateLimitHeaders",
    "Receipt",
    "Record",
    "Refusal",
    "RefusedError",
    "Rejected",
    "SelectionError",
    "Sent",
    "SourceError",
    "StaticToken",
    "Statistics",
    "ThrottledError",
    "Timeouts",
    "TokenProvider",
    "TokenStoreError",
    "TransportError",
    "Unresolved",
    "UpsertedContact",
    "import_files",
]

__version__ = "0.2.0.dev0"

_HOME_OF: Final = {
    "ImportProgress": "reports.progress",
    "ImportSummary": "reports.summary",
    "Ingestor": "ingestor",
    "Latency": "reports.statistics",
    "LeadConnector": "client",
    "ListedMessage": "api.listings",
    "LocationStatistics": "reports.statistics",
    "MessageExport": "requester",
    "OAuth": "auth.oauth",
    "OpenTelemetry": "reports.telemetry",
    "Policy": "policy",
    "RateLimit": "quota.limits",
    "StaticToken": "auth.provider",
    "Statistics": "reports.statistics",
    "Timeouts": "transport.aiohttp_session",
    "TokenProvider": "auth.provider",
    "import_files": "file_importer",
}
"""The modules of the names that are neither errors nor models."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type checker reads the imports above
    if name == "sync":  # a module, so that nothing more has to be imported to call it
        return import_module(f"{__name__}.sync")
    if name in __all__:
        home = _HOME_OF.get(name, "errors" if name.endswith("Error") else "models")
        return globals().setdefault(name, getattr(import_module(f"{__name__}.{home}"), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
