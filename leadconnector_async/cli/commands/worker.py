"""``leadconnector worker``: sends what anybody has staged, as one of several."""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec.structs import asdict

from leadconnector_async.api.endpoints import BASE_URL
from leadconnector_async.cli import import_options as of, options
from leadconnector_async.cli.app import Exit
from leadconnector_async.cli.format import counted, say
from leadconnector_async.cli.metrics import Metrics, served_metrics
from leadconnector_async.cli.report_lines import print_json
from leadconnector_async.errors import DailyQuotaSpentError, OutboxError
from leadconnector_async.outbox.open import open_shared
from leadconnector_async.reports.statistics_meter import StatisticsMeter
from leadconnector_async.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leadconnector_async.errors import LeadConnectorError
    from leadconnector_async.outbox.postgres.outbox import PostgresOutbox

COUNTED_S: Final = 2.0
"""Seconds between two counts for the metrics."""


@click.command("worker")
@options.options_of(
    *("worker.outbox", "access.token", "api", "sending", "worker.lease", "worker.drain", "output")
)
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Send what is staged in a database, until stopped, beside any number of other workers.

    They share the locations, and share again when one joins or leaves. A location's quota is used
    by its owner alone, and goes over with it. "leadconnector import --stage-only" stages.

    SIGTERM or Ctrl-C: what is in flight is answered within 2 s, or looked for by the next owner.

    Exit status: 0 stopped, or drained; 3 drained, and some records are failed or unresolved,
    whoever tried them; 4 drained but for locations whose day is spent; 1 a location could not go
    on for another reason, or stopped by an error.
    """
    options.obey_output_options(ctx, given)
    options.read_access(given)
    if not given["outbox"].startswith(("postgresql://", "postgres://")):
        fix = "give --outbox postgresql://…; a file is sent by the one import that has it open"
        raise click.UsageError(f"workers share an outbox in a database: {fix}")
    asked = of.WorkerOptions(policy=of.policy_of(given), limit=of.limit_of(given), **given)
    with served_metrics(asked) as metrics:
        ctx.exit(asyncio.run(_work(asked, metrics)))


async def _work(options: of.WorkerOptions, metrics: Metrics) -> Exit:
    base_url = options.base_url or BASE_URL
    failed: int | None = None
    unsent: Mapping[str, int] | None = None

    async def left(outbox: PostgresOutbox) -> Mapping[str, int]:
        nonlocal failed, unsent
        unsent = await outbox.unsent()
        if not unsent.keys() - worker.errors.keys():
            ends = (await outbox.unsettled(None)).values()
            failed = sum(of.rejected + of.unresolved for of in ends)
        return unsent

    async with options.sending_client(options.own_token(options.outbox), base_url) as api:
        meter = None if options.metrics is None else StatisticsMeter(api.session)
        worker = Worker(
            api.session if meter is None else meter.session,
            lambda: open_shared(options.outbox, destination=base_url.rstrip("/")),
            lease_s=options.lease,
            concurrency=options.concurrency,
            left=left if options.drain else None,
        )
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):  # on Windows, where Ctrl-C cancels all
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, worker.stop)
        with ExitStack() as until_ended:
            if meter is not None:
                meter.watch(worker)
                metrics.read = meter.read
                until_ended.callback(asyncio.create_task(_count(worker, meter)).cancel)
            await worker.run()
    # Others' locations may stand there as stopped that have nothing to send.
    errors = {of: why for of, why in worker.errors.items() if unsent is None or unsent.get(of)}
    return _report(worker, options, errors, failed)


async def _count(worker: Worker, meter: StatisticsMeter) -> None:
    """Count now and then what the locations have left that the worker owns."""
    while True:
        outbox = worker.outbox
        if outbox is not None:
            with suppress(OutboxError):  # the worker itself says so
                unsent = await outbox.unsent()
                meter.left = {name: n for name, n in unsent.items() if outbox.owns(name)}
        await asyncio.sleep(COUNTED_S)


def _report(
    worker: Worker,
    options: of.WorkerOptions,
    errors: Mapping[str, LeadConnectorError],
    failed: int | None,
) -> Exit:
    stats = worker.stats
    for name, why in errors.items():
        say(f"leadconnector: location {name}: {why}", err=True)
    if options.as_json:
        told = {name: str(why) for name, why in errors.items()}
        print_json(asdict(stats) | {"tenures": worker.tenures, "errors": told, "failed": failed})
    elif not options.quiet:
        not_sent = stats.rejected + stats.unresolved
        say(f"{counted(stats.sent, 'record')} sent by this worker, {not_sent:,} not.")
        if failed:
            say(f"{counted(failed, 'record')} failed, or unresolved: see leadconnector status.")
    if any(not isinstance(why, DailyQuotaSpentError) for why in errors.values()):
        return Exit.ERROR
    if errors and options.drain:
        return Exit.DAY_SPENT
    return Exit.FAILED if failed else Exit.DONE
