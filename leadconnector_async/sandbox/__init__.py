"""A stand-in for the LeadConnector API, with its limits, its lags, its habits and its faults.

Nothing is imported before it is asked for, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leadconnector_async.sandbox._config import (
        NO_LIMITS,
        READ_SCOPES,
        Contact,
        Installation,
        Latency,
        Limits,
        OAuthApp,
        Reads,
        SandboxConfig,
    )
    from leadconnector_async.sandbox._faults import FAULT_KINDS, Fault
    from leadconnector_async.sandbox._serve import config_from_options, parse_fault, serve
    from leadconnector_async.sandbox._server import Sandbox
    from leadconnector_async.sandbox._store import Stored
    from leadconnector_async.sandbox._thread import SandboxThread

__all__ = [
    "FAULT_KINDS",
    "NO_LIMITS",
    "READ_SCOPES",
    "Contact",
    "Fault",
    "Installation",
    "Latency",
    "Limits",
    "OAuthApp",
    "Reads",
    "Sandbox",
    "SandboxConfig",
    "SandboxThread",
    "Stored",
    "config_from_options",
    "parse_fault",
    "serve",
]

_HOMES = {
    "_config": (
        "NO_LIMITS",
        "READ_SCOPES",
        "Contact",
        "Installation",
        "Latency",
        "Limits",
        "OAuthApp",
        "Reads",
        "SandboxConfig",
    ),
    "_faults": ("FAULT_KINDS", "Fault"),
    "_serve": ("config_from_options", "parse_fault", "serve"),
    "_server": ("Sandbox",),
    "_store": ("Stored",),
    "_thread": ("SandboxThread",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
