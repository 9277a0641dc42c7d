"""A mailbox of every state, imported by the command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli_harness import at, leadconnector, result_of

from leadconnector_async.sandbox import SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

MAILS = (
    ("Inbox", "ann@a.example", "Fri, 1 Mar 2024 10:00:00 -0000"),
    ("Spam", "win@a.example", "Fri, 1 Mar 2024 11:00:00 +0000"),
    ("=?UTF-8?Q?Corbeille?=", "old@a.example", "Fri, 1 Mar 2024 12:00:00 +0000"),
    ("Inbox", "bob@a.example", "Fri, 1 Mar 2024 13:00:00 CEST"),
    ("Inbox", "cy@a.example", "Fri, 1 Mar 2024 14:00:00 XYZ"),
    ("Chat", "di@a.example", "Fri, 1 Mar 2024 15:00:00 +0000"),
)


def _mailbox(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(
        "".join(
            f"From {number}@xxx Fri Mar 01 09:00:00 +0000 2024\nX-Gmail-Labels: {labels}\n"
            f"From: {sender}\nTo: me@example.com\nDate: {date}\nMessage-ID: <{number}@x>\n\n"
            f"From {number}:30 to 11:00 we are open\n"
            for number, (labels, sender, date) in enumerate(MAILS, 1)
        )
    )


def test_each_mail_is_sent_left_out_or_refused(tmp_path: Path) -> None:
    """Validation and import agree; times are in UTC; what is left out makes no contact."""
    _mailbox(tmp_path / "Takeout/Mail/All mail.mbox")
    mine = ["--mine", "me@example.com", "--leave-out", "chats", "--timezone", "America/Denver"]
    with SandboxThread() as sandbox:
        options = [*at(sandbox, tmp_path / "o.db"), *mine, "--json"]
        checked = result_of(leadconnector("validate", tmp_path / "Takeout", *mine, "--json").stdout)
        done = leadconnector("import", tmp_path / "Takeout", *options)
        assert done.exit_code == 3, done.output
        result = result_of(done.stdout)
        assert (result["sent"], result["failed"]) == (2, 1)
        assert checked["wrong"] == 1
        left_out = {reason["reason"]: reason["count"] for reason in checked["left_out"]}
        assert left_out == {"spam": 1, "mails in the trash": 1, "chats kept among mails": 1}
        stored = {mail.fields["date"]: mail.fields["message"] for mail in sandbox.messages}
        assert stored == {
            "2024-03-01T10:00:00Z": "From 1:30 to 11:00 we are open",
            "2024-03-01T11:00:00Z": "From 4:30 to 11:00 we are open",
        }
        emails = {contact["email"] for contact in sandbox.contacts}
        assert emails == {"ann@a.example", "bob@a.example"}
