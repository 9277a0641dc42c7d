"""``leadconnector retry``: failed records back among the pending ones."""

import shlex

import click

from leadconnector_async.cli.format import counted, say
from leadconnector_async.cli.options import options_of
from leadconnector_async.cli.progress_display import run_waiting
from leadconnector_async.cli.report_lines import print_json
from leadconnector_async.outbox.open import shown_place, write_outbox


@click.command("retry")
@options_of("outbox.outbox", "output.json")
def command(outbox: str, *, as_json: bool) -> None:
    """Put failed records back, after the cause was mended in the account.

    The next import sends those that the API refused again, and looks for unresolved ones before.

    Records that are wrong themselves stay: write them with "leadconnector failed", mend them, and
    import that file.
    """
    retried = run_waiting("Putting back", write_outbox(outbox, lambda store: store.requeue()))
    if as_json:
        print_json(retried._asdict())
        return
    if not any(retried):
        say("Nothing has failed.")
    if retried.pending:
        say(f"{counted(retried.pending, 'record')} will be sent again.")
    if retried.unknown:
        say(f"{counted(retried.unknown, 'record')} will be looked for, and sent if not there.")
    if retried.pending or retried.unknown:
        say("The same import again does so.")
    if retried.refused:
        one, more = "record is wrong itself, and stays", "records are wrong themselves, and stay"
        wrong = counted(retried.refused, one, more)
        place = shlex.quote(shown_place(outbox))
        say(f"{wrong} failed: leadconnector failed --outbox {place} -o FILE")
    if retried.left:
        say(f"{counted(retried.left, 'record')} more stay unresolved until the next retry.")
