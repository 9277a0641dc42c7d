"""``leadconnector sandbox``: the stand-in for the API as a program of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from leadconnector_async.cli.options import options_of

if TYPE_CHECKING:
    from leadconnector_async.sandbox import Sandbox


@click.command("sandbox")
@options_of("sandbox")
def command(host: str, port: int, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Run a stand-in for the API until Ctrl-C. It keeps messages in memory only.

    Any token is let in, and each has a location of its own, under any name. Ids of the API's form
    are taken for known ones, and others are refused, as the API does. The address is printed on
    standard output.
    """
    import asyncio  # noqa: PLC0415 - only when it runs

    from leadconnector_async.sandbox import config_from_options, serve  # noqa: PLC0415 - the same

    try:
        config = config_from_options(**_options(given))
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from error
    try:
        asyncio.run(serve(config, host, port, _announce))
    except OSError as error:
        wrong = f"cannot listen at {host}:{port} ({error.strerror})"
        raise click.ClickException(f"{wrong}: choose another --port, or --host") from error
    except KeyboardInterrupt:
        click.echo("The sandbox has ended.", err=True)


def _options(given: dict[str, Any]) -> Any:  # noqa: ANN401 - a TypedDict of optional keys
    limit, daily, window = given.pop("limit"), given.pop("daily"), given.pop("window")
    options = {
        "max_requests": limit.requests if limit else 10_000_000,
        "interval": limit.interval if limit else 10.0,
        "window": window if limit or daily else "off",
        "trusting": True,
        "apart": True,
        "tokens": _pairs(given.pop("tokens"), "TOKEN=LOCATION"),
        "providers": _pairs(given.pop("providers"), "ID=TYPE"),
        **given,
    }
    return options if daily is None else {**options, "daily": daily}


def _pairs(texts: tuple[str, ...], form: str) -> dict[str, str]:
    for text in texts:
        if not all(text.partition("=")):
            raise click.UsageError(f"write {form}, with neither side empty")
    return dict(text.split("=", 1) for text in texts)


def _announce(sandbox: Sandbox) -> None:
    from leadconnector_async.sandbox.program import OAUTH_APP  # noqa: PLC0415 - a server's imports

    click.echo(sandbox.url)
    click.echo(
        "The sandbox is running; Ctrl-C ends it. To import into it:\n"
        "  leadconnector import history.csv --outbox try.db --location any --token any "
        f"\\\n    --base-url {sandbox.url}",
        err=True,
    )
    if sandbox.config.oauth is not None:
        client, secret, _ = OAUTH_APP
        tokens = ", ".join(one.refresh_token for one in sandbox.config.oauth.installations)
        click.echo(f"Its OAuth app: {client}, {secret}. Refresh tokens: {tokens}", err=True)
