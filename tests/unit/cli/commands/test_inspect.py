from __future__ import annotations

from pathlib import Path

from cli_harness import leadconnector, sms, write_jsonl

EXPORTS = Path(__file__).parents[3] / "support" / "exports"


def test_an_export_is_shown_with_its_mapping() -> None:
    """Columns, fields, and three records as they would be sent, and how it is imported."""
    run = leadconnector("inspect", EXPORTS / "twilio-messages.csv", "--region", "US")
    assert run.exit_code == 0
    assert "Mapping: twilio-messages (Twilio's log of messages" in run.stdout
    assert "guessed: import reads it so by itself" in run.stdout
    assert "contact.phone           From, To" in run.stdout
    assert "Not sent: ApiVersion" in run.stdout
    assert '"message": "Hi, are you open?"' in run.stdout
    assert '"phone": "+12125550100"' in run.stdout
    assert "contactId" not in run.stdout
    assert '"id"' not in run.stdout
    assert run.stdout.count('"direction"') == 2
    assert "left out: messages that were never delivered" in run.stdout
    assert run.stderr == ""


def test_a_mapping_that_is_given_is_not_guessed() -> None:
    """It is shown all the same."""
    path = EXPORTS / "generic.csv"
    run = leadconnector("inspect", path, "--mapping", "generic", "--region", "US")
    assert run.exit_code == 0
    assert "Mapping: generic" in run.stdout
    assert "guessed" not in run.stdout


def test_what_is_wrong_with_a_record_stands_under_it(tmp_path: Path) -> None:
    """Both what cannot be read and what breaks a rule."""
    records = [sms(1, date="soon"), sms(2, direction=None), sms(3), sms(4)]
    run = leadconnector("inspect", write_jsonl(tmp_path / "h.jsonl", records))
    assert run.exit_code == 0
    assert "date is text of 4 characters that is no date of a known form" in run.stdout
    assert "direction is missing" in run.stdout
    assert "secret text 3" in run.stdout
    assert "secret text 4" not in run.stdout


def test_mails_are_shown_from_the_owners_side(tmp_path: Path) -> None:
    """Without the owner's address the error names the option."""
    path = tmp_path / "one.eml"
    path.write_bytes(
        b"From: kim@example.org\nTo: me@example.com\nDate: 31 Jan 2024 10:30:00 +0000\n\nhi\n"
    )
    run = leadconnector("inspect", path)
    assert run.exit_code == 1
    assert "--mine me@example.com" in run.stderr
    run = leadconnector("inspect", path, "--mine", "ME@example.com")
    assert '"email": "kim@example.org"' in run.stdout
    run = leadconnector("inspect", path, LEADCONNECTOR_MINE="x@example.com kim@example.org")
    assert '"direction": "outbound"' in run.stdout


def test_a_file_without_records_says_so(tmp_path: Path) -> None:
    """Its columns are shown."""
    path = tmp_path / "history.csv"
    path.write_bytes(b"type,message\n")
    run = leadconnector("inspect", path)
    assert run.exit_code == 0
    assert "Columns: type, message" in run.stdout
    assert "It holds no records." in run.stdout
