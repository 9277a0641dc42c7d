"""Late parts under faults: each enrichment fails in every way, yet all is stored once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from cli_harness import write_jsonl
from fault_harness import LAG_S, QUICK, SHORT_PAUSES, TIMEOUTS
from late_harness import CLOSED, KIM, LEE, import_quickly, named
from msgspec.structs import replace
from samples import sampled

from leadconnector_async import Contact, InboundMessage, Ingestor, LeadConnector, Record, Sent
from leadconnector_async.sandbox import Fault, Reads, Sandbox, SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

NEW = ("+12125550111", "+12125550112")
ENRICHMENTS = (
    "find_contact",
    "create_contact",
    "open_conversation",
    "search",
    "upload",
    "outbound",
)
KINDS = ("drop", "reset", "500", "503", "cut", "garbage", "html")


def history(folder: Path, count: int) -> list[dict[str, object]]:
    """Texts with pictures, and calls in both directions, of four contacts, of which two are new."""
    for number in range(3):
        (folder / f"{number}.png").write_bytes(b"picture %d" % number)
    made = []
    for number in range(count):
        phone = (KIM, LEE, *NEW)[number % 4]
        if number % 3:
            made.append(named(number, phone, attachments=[f"{number % 3}.png", "0.png"]))
            continue
        ours = {"from": "+12125550000", "to": phone, "status": "completed"}
        theirs = {"from": phone, "to": "+12125550000", "status": "completed"}
        call, direction = (ours, "outbound") if number % 2 else (theirs, "inbound")
        more = {"type": "Call", "conversationProviderId": "p", "call": call}
        made.append(named(number, phone, **more, direction=direction))
    return made


def assert_all_is_well(sandbox: SandboxThread, records: list[dict[str, object]]) -> None:
    """Each record once, with its contact; each contact once; files whole."""
    stored = Counter(str(message.alt_id) for message in sandbox.messages)
    assert stored == Counter(str(record["id"]) for record in records)
    phones = [str(contact["phone"]) for contact in sandbox.contacts]
    assert sorted(phones) == sorted({KIM, LEE, *NEW})
    phone_of = {str(contact["id"]): contact["phone"] for contact in sandbox.contacts}
    whom = {str(record["id"]): record["contact"] for record in records}
    assert all({"phone": phone_of[m.contact_id]} == whom[str(m.alt_id)] for m in sandbox.messages)
    assert len(sandbox.conversations) == 4
    urls = {upload.url for upload in sandbox.uploads}
    for message in sandbox.messages:
        assert set(message.fields.get("attachments", ())) <= urls


@pytest.mark.slow
@sampled("kind, when", ["429", *KINDS], ["before", "after"])
def test_each_enrichment_may_fail_and_everything_is_stored_once(
    kind: str, when: str, tmp_path: Path
) -> None:
    """Before and after it was done; with reads that lag, by less than the settling time."""
    faults = [
        Fault(
            kind,  # type: ignore[arg-type]
            when="before" if kind == "429" else when,  # type: ignore[arg-type]
            endpoint=endpoint,  # type: ignore[arg-type]
            probability=0.2,
            times=5 if endpoint == "search" else None,  # a record is looked for six times at most
        )
        for endpoint in (*ENRICHMENTS, "inbound")
    ]
    config = replace(CLOSED, reads=Reads(lag=LAG_S, search_lag=LAG_S), limits=SHORT_PAUSES, seed=5)
    with SandboxThread(config) as sandbox:
        sandbox.set_faults(*faults)
        records = history(tmp_path, 24)
        source, policy = write_jsonl(tmp_path / "h.jsonl", records), replace(QUICK, attempts=40)
        assert import_quickly(sandbox, source, policy).sent == 24
        assert sum(sandbox.faults_fired.values()) > 0
        assert_all_is_well(sandbox, records)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", pytest.param("after", marks=pytest.mark.full)])
def test_an_enrichment_that_is_never_answered_is_made_again(when: str, tmp_path: Path) -> None:
    """The first request of each kind hangs beyond the time-out."""
    faults = [
        Fault("hang", when=when, endpoint=endpoint, nth=(1,), seconds=2.0)  # type: ignore[arg-type]
        for endpoint in ENRICHMENTS
    ]
    with SandboxThread(CLOSED) as sandbox:
        sandbox.set_faults(*faults)
        records = history(tmp_path, 24)
        source = write_jsonl(tmp_path / "h.jsonl", records)
        assert import_quickly(sandbox, source, timeouts=TIMEOUTS).sent == 24
        assert_all_is_well(sandbox, records)


async def test_a_token_that_expires_on_the_way_is_renewed() -> None:
    """An enrichment's 401 costs its record nothing."""

    class Tokens:
        renewals = 0

        async def token(self, location_id: str) -> str:
            del location_id
            return f"token{self.renewals}"

        async def renew(self, location_id: str, refused: str) -> str | None:
            del location_id, refused
            self.renewals += 1
            return await self.token("")

    location = CLOSED.location_id
    config = replace(CLOSED, tokens={"token1": location})
    tokens = Tokens()
    message = InboundMessage(type="SMS", direction="inbound", message="hi")
    async with (
        Sandbox(config) as sandbox,
        LeadConnector(tokens, location_id=location, base_url=sandbox.url) as api,
        Ingestor(api) as ingestor,
    ):
        records = [Record(message=message, contact=Contact(phone=p)) for p in (KIM, LEE, *NEW)]
        outcomes = [outcome async for outcome in ingestor.run(records)]
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert tokens.renewals == 1
        assert {m.contact_id for m in sandbox.messages} == {c["id"] for c in sandbox.contacts}
        assert len(sandbox.contacts) == 4
