"""What the tests of deferred parts share: closed sandboxes, mails, and imports by the command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import fault_harness
from cli_harness import at, leadconnector, result_of, sms, write_jsonl

from leadconnector_async import LeadConnector, Timeouts, import_files
from leadconnector_async.sandbox import SandboxConfig, SandboxContact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from leadconnector_async import ImportSummary, Policy
    from leadconnector_async.sandbox import SandboxThread

KIM, LEE = "+12125550101", "+12125550102"
ME = "me@example.com"
KNOWN = (
    SandboxContact(id="kim", phone=KIM, email="kim@example.org", name="Kim"),
    SandboxContact(id="lee", phone=LEE, email="lee@example.org", name="Lee"),
)
CLOSED = SandboxConfig(closed=True, contacts=KNOWN, strict_threads=True)
QUICK = ("--look-after", "0.05", "--attempts", "6")


def named(number: int, phone: str | None = KIM, **fields: object) -> dict[str, object]:
    """A good record that names its contact by number."""
    record = sms(number, **fields)
    del record["contactId"]
    return record | {"contact": {"phone": phone}} if phone else record


def run(sandbox: SandboxThread, source: Path, *options: object, exits: int = 0) -> dict[str, Any]:
    """Import a file into an outbox beside it, and give the result."""
    command = [*at(sandbox, source.parent / "o.db"), *options, "--json"]
    done = leadconnector("import", source, *command)
    assert done.exit_code == exits, done.output
    return result_of(done.stdout)


def import_records(
    sandbox: SandboxThread,
    folder: Path,
    records: Sequence[object],
    *options: object,
    exits: int = 0,
) -> dict[str, Any]:
    """Import records of JSON Lines."""
    return run(sandbox, write_jsonl(folder / "h.jsonl", records), *options, exits=exits)


def import_quickly(
    sandbox: SandboxThread,
    source: Path,
    policy: Policy = fault_harness.QUICK,
    timeouts: Timeouts | None = None,
    **options: Any,  # noqa: ANN401 - those of `import_files`
) -> ImportSummary:
    """Import a file as the command does, but with waits that the command has no options for."""

    async def main() -> ImportSummary:
        async with LeadConnector(
            sandbox.token,
            location_id=sandbox.location_id,
            base_url=sandbox.url,
            policy=policy,
            timeouts=timeouts or Timeouts(),
            limit=fault_harness.UNPACED,
        ) as api:
            return await import_files(api, [source], outbox=source.parent / "o.db", **options)

    return asyncio.run(main())


def reasons(folder: Path) -> list[str]:
    """Why records failed, by the list of failed ones."""
    import json  # noqa: PLC0415 - for this alone

    listed = leadconnector("failed", "--outbox", folder / "o.db").stdout
    return [json.loads(line)["error"] for line in listed.splitlines()]


def asked(sandbox: SandboxThread, endpoint: str) -> int:
    """How many requests an endpoint got, answered or not."""
    counts = list(sandbox.requests.items())  # at once: its thread counts on
    return sum(n for (name, _), n in counts if name == endpoint)


def mail(
    name: str, minute: int, *answers: str, sender: str = "kim@example.org", to: str = ME
) -> str:
    """A mail of one line that answers others."""
    references = " ".join(f"<{answer}@x>" for answer in answers)
    head = f"References: {references}\nIn-Reply-To: <{answers[-1]}@x>\n" if answers else ""
    return (
        f"From: {sender}\nTo: {to}\nDate: Wed, 31 Jan 2024 {10 + minute // 60}:{minute % 60:02}:00"
        f" +0000\nMessage-ID: <{name}@x>\nSubject: about\n{head}\ntext of {name}\n"
    )


def mailbox(folder: Path, *mails: str, name: str = "box.mbox") -> Path:
    """A mailbox file."""
    path = folder / name
    path.write_text("".join(f"From x Wed Jan 31 10:00:00 2024\n{mail}\n" for mail in mails))
    return path


def names(sandbox: SandboxThread) -> list[str]:
    """The stored mails by name, in the order of arrival."""
    return [str(stored.alt_id).removesuffix("@x") for stored in sandbox.messages]


def threads(sandbox: SandboxThread) -> dict[str, str]:
    """For each stored mail, by its name, the first mail of its thread."""
    by_id = dict(zip((s.email_message_id for s in sandbox.messages), names(sandbox), strict=True))
    firsts = [by_id[stored.thread_id] for stored in sandbox.messages]
    return dict(zip(names(sandbox), firsts, strict=True))
