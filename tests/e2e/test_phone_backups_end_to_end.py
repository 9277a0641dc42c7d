"""Backups of phones, through the command, to the conversations of those who wrote and received."""

from __future__ import annotations

from typing import TYPE_CHECKING

from late_harness import run

from leadconnector_async.sandbox import SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

ANN, BOB, ME = "+12125550125", "+12125550126", "+12125550100"
BACKUP = f"""<smses count="4">
  <sms address="{ANN}" date="1704100000000" type="1" body="from Ann"/>
  <mms address="{ANN}~{BOB}" date="1704100001000" msg_box="1">
    <part ct="text/plain" text="from Bob"/>
    <addr address="{BOB}" type="137"/><addr address="{ANN}" type="151"/>
    <addr address="{ME}" type="151"/>
  </mms>
  <mms address="{ANN}~{BOB}~{ME}" date="1704100002000" msg_box="2">
    <part ct="text/plain" text="to both"/>
  </mms>
  <sms address="72975" date="1704100003000" type="1" body="your code"/>
</smses>
"""


def test_the_messages_of_a_group_are_with_whom_they_were(tmp_path: Path) -> None:
    """The sender's what was received, each member's what was sent, and nobody else's."""
    path = tmp_path / "backup.xml"
    path.write_text(BACKUP)
    with SandboxThread() as sandbox:
        options = ("--region", "US", "--mine", ME, "--no-number", "leave-out")
        done = run(sandbox, path, *options)
        phones = {contact["id"]: contact["phone"] for contact in sandbox.contacts}
        assert sorted(
            (phones[m.contact_id], m.direction, m.fields["message"]) for m in sandbox.messages
        ) == [
            (ANN, "inbound", "from Ann"),
            (ANN, "outbound", "to both"),
            (BOB, "inbound", "from Bob"),
            (BOB, "outbound", "to both"),
        ]
    assert (done["sent"], done["failed"]) == (4, 0)
