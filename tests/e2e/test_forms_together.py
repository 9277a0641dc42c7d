"""Files of several forms in one command: each is recognised, told of, and read by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cli_harness import at, leadconnector, result_of

from leadconnector_async.sandbox import SandboxThread

if TYPE_CHECKING:
    from pathlib import Path

BACKUP = """<?xml version='1.0' encoding='UTF-8'?>
<smses count="1">
  <sms address="+12125550101" date="1706693400000" type="1" body="by XML" contact_name="Kim" />
</smses>
"""
TABLE = """From,To,Body,Status,SentDate,Sid,Direction,NumMedia
+12125550101,+14155550199,by CSV,received,2024-01-31T09:31:00Z,SM1,inbound,1
+14155550199,+12125550101,never,failed,2024-01-31T09:31:30Z,SM2,outbound-api,0
"""
PAGE = {
    "messages": [
        {
            "sid": "SM3",
            "from": "+14155550199",
            "to": "+12125550101",
            "body": "by JSON",
            "status": "delivered",
            "direction": "outbound-api",
            "date_sent": "Wed, 31 Jan 2024 09:32:00 +0000",
            "price": "-0.0075",
        }
    ],
    "next_page_uri": None,
}
MAIL = """From kim@example.com Wed Jan 31 09:33:00 2024
From: Kim <kim@example.com>
To: me@shop.example
Date: Wed, 31 Jan 2024 09:33:00 +0000
Subject: Hello
Message-ID: <1@example.com>

by mail
"""


@pytest.mark.parametrize("mapping", [(), ("--mapping", "twilio-messages")])
def test_one_command_reads_them_all(tmp_path: Path, mapping: tuple[str, ...]) -> None:
    """Each record stored with its own time and text; what is left out or lost is told by all."""
    files = {
        "sms.xml": BACKUP,
        "log.csv": TABLE,
        "page.json": json.dumps(PAGE, indent=1),
        "inbox.mbox": MAIL,
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    paths = [tmp_path / name for name in files]
    options = ("--mine", "me@shop.example", *mapping)
    with SandboxThread() as sandbox:
        told = (*at(sandbox, tmp_path / "import.db"), *options)
        run = leadconnector("import", *paths, *told, "--json")
        assert run.exit_code == 0, run.output
        stored = sorted(
            (m.fields["date"], m.direction, m.fields["message"]) for m in sandbox.messages
        )
    assert [(str(date)[:19], way, str(text).strip()) for date, way, text in sorted(stored)] == [
        ("2024-01-31T09:30:00", "inbound", "by XML"),
        ("2024-01-31T09:31:00", "inbound", "by CSV"),
        ("2024-01-31T09:32:00", "outbound", "by JSON"),
        ("2024-01-31T09:33:00", "inbound", "by mail"),
    ]
    assert result_of(run.stdout)["sent"] == 4
    checked = leadconnector("validate", *paths, *options)
    for said in (
        "1 left out: messages that were never delivered",
        "messages had pictures that are not in the log",
        'page.json: field "price" is not sent',
    ):
        assert said in run.stderr
        assert said in checked.stdout
    if mapping:
        assert "sms.xml: --mapping twilio-messages reads tables and JSON" in run.stderr
        assert "inbox.mbox: holds mails, which are read without --mapping" in run.stderr
    else:
        assert "page.json: its columns are those of --mapping twilio-messages" in run.stderr
