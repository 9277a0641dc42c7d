"""``leadconnector sandbox``: the stand-in for the API as a program of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from leadconnector_async.cli.option_types import QUOTA
from leadconnector_async.cli.options import option

if TYPE_CHECKING:
    from leadconnector_async.sandbox import Sandbox


@click.command("sandbox")
@option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@option("--port", default=8700, show_default=True, help="The port; 0 takes a free one.")
@option(
    "--limit",
    type=QUOTA,
    help="Requests per seconds that each location allows, such as 100/10. By default no limit.",
)
@option(
    "--window",
    type=click.Choice(["fixed", "sliding", "bucket"]),
    default="fixed",
    show_default=True,
    help="How the limit is counted.",
)
@option("--daily", type=click.IntRange(1), help="Requests a day for each location, beside --limit.")
@option("--latency", type=click.FloatRange(0), default=0.0, help="Milliseconds of a round trip.")
@option("--jitter", type=click.FloatRange(0), default=0.0, help="Milliseconds more, at random.")
@option(
    "--fault",
    "faults",
    metavar="KIND[:before|after][:P]",
    multiple=True,
    help="A fault, and how probable it is, such as drop:after:0.05. Repeat it for more.",
)
@option(
    "--read-lag",
    type=click.FloatRange(0),
    default=0.0,
    help="Seconds until a stored message can be read.",
)
@option(
    "--search-lag",
    type=click.FloatRange(0),
    default=0.0,
    help="Seconds until a new conversation can be found.",
)
@option("--seed", type=int, default=0, help="What chance begins with: the same faults each time.")
def command(host: str, port: int, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Run a stand-in for the API until Ctrl-C. It keeps messages in memory only.

    Any token is let in, under any location. Ids of the API's form are taken for known ones, and
    others are refused, as the API does. The address is printed on standard output.
    """
    import asyncio  # noqa: PLC0415 - only when it runs

    from leadconnector_async.sandbox import config_from_options, serve  # noqa: PLC0415 - the same

    try:
        config = config_from_options(**_options(given))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    try:
        asyncio.run(serve(config, host, port, _announce))
    except OSError as error:
        raise click.ClickException(
            f"cannot listen at {host}:{port} ({error.strerror}): choose another --port"
        ) from error
    except KeyboardInterrupt:
        click.echo("The sandbox has ended.", err=True)


def _options(given: dict[str, Any]) -> Any:  # noqa: ANN401 - a TypedDict of optional keys
    limit, daily, window = given.pop("limit"), given.pop("daily"), given.pop("window")
    options = {
        "latency_ms": given.pop("latency"),
        "jitter_ms": given.pop("jitter"),
        "max_requests": limit.requests if limit else 10_000_000,
        "interval": limit.seconds if limit else 10.0,
        "window": window if limit or daily else "off",
        "trusting": True,
        **given,
    }
    return options if daily is None else {**options, "daily": daily}


def _announce(sandbox: Sandbox) -> None:
    click.echo(sandbox.url)
    click.echo(
        "The sandbox is running; Ctrl-C ends it. To import into it:\n"
        "  leadconnector import history.csv --outbox try.db --location any --token any "
        f"\\\n    --base-url {sandbox.url}",
        err=True,
    )
