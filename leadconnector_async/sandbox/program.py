"""The sandbox as a program of its own, and its settings as a command line gives them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from leadconnector_async.sandbox.config import NO_LIMITS, Latency, Limits, Reads, SandboxConfig
from leadconnector_async.sandbox.faults import Fault
from leadconnector_async.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FAULT_FORM: Final = "KIND[:before|after][:PROBABILITY], as in drop:after:0.05"


class Options(TypedDict, total=False):
    """What a command line can set. Milliseconds where the name says so, seconds elsewhere."""

    token: str
    location_id: str
    locations: int
    window: str
    max_requests: int
    interval: float
    daily: int
    latency_ms: float
    jitter_ms: float
    read_lag: float
    search_lag: float
    faults: Sequence[str]
    closed: bool
    trusting: bool
    keep_messages: bool
    seed: int


def config_from_options(**options: Unpack[Options]) -> SandboxConfig:
    """Make settings of options; what is not given keeps its default.

    ``locations=N`` makes N locations ``loc-0001`` … with the tokens ``token-0001`` ….

    Raises:
        ValueError: an option has no meaning; the message names it.
    """
    plain: dict[str, Any] = {
        name: options[name]
        for name in ("token", "location_id", "closed", "trusting", "keep_messages", "seed")
        if name in options
    }
    numbers = range(1, options.get("locations", 0) + 1)
    one_way = options.get("latency_ms", 0.0) / 2000
    return SandboxConfig(
        **plain,
        tokens={f"token-{number:04d}": f"loc-{number:04d}" for number in numbers},
        limits=_limits(options),
        latency=Latency(up=one_way, down=one_way, jitter=options.get("jitter_ms", 0.0) / 1000),
        reads=Reads(lag=options.get("read_lag", 0.0), search_lag=options.get("search_lag", 0.0)),
        faults=tuple(parse_fault(text) for text in options.get("faults", ())),
    )


def _limits(options: Options) -> Limits:
    window = options.get("window", "off")
    match window:
        case "off":
            return NO_LIMITS
        case "fixed" | "sliding" | "bucket":
            return Limits(
                window=window,
                max=options.get("max_requests", 100),
                interval=options.get("interval", 10.0),
                daily=options.get("daily", 200_000),
            )
        case _:
            raise ValueError(f"window is off, fixed, sliding or bucket, not {window!r}")


def parse_fault(text: str) -> Fault:
    """Read a fault written as ``KIND[:before|after][:PROBABILITY]``.

    Raises:
        ValueError: it is not written so.
    """
    kind, *rest = text.split(":")
    when = rest.pop(0) if rest and rest[0] in ("before", "after") else "before"
    try:
        probability = float(rest.pop(0)) if rest else 1.0
    except ValueError as exc:
        raise ValueError(f"fault {text!r} is not {_FAULT_FORM}") from exc
    if rest:
        raise ValueError(f"fault {text!r} is not {_FAULT_FORM}")
    return Fault(kind, when, probability)  # type: ignore[arg-type] # Fault checks its kind


async def serve(
    config: SandboxConfig,
    host: str = "127.0.0.1",
    port: int = 8700,
    ready: Callable[[Sandbox], None] | None = None,
) -> None:
    """Run until cancelled. ``ready`` is called once the port is open.

    Raises:
        OSError: the port cannot be opened.
    """
    async with Sandbox(config, host=host, port=port) as sandbox:
        if ready is not None:
            ready(sandbox)
        await asyncio.Event().wait()
