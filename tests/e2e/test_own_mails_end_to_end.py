"""CPython's own sample mails, most of them odd, as an import of files."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
from cli_harness import at, leadconnector, result_of
from late_harness import reasons

from leadconnector_async.sandbox import SandboxThread

DATA = Path(sysconfig.get_path("stdlib"), "test", "test_email", "data")
MINE = ("barry@python.org", "bbb@zzz.org", "you@there.com", "me@example.com")


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="this Python came without its own tests")
def test_every_sample_mail_is_sent_or_has_a_reason(tmp_path: Path) -> None:
    """Nothing stays pending, and nothing stops the import."""
    copies = []
    for sample in sorted(path for path in DATA.iterdir() if path.is_file()):
        copy = tmp_path / f"{sample.name}.eml"
        copy.write_bytes(sample.read_bytes())
        copies.append(copy)
    mine = [word for address in MINE for word in ("--mine", address)]
    with SandboxThread() as sandbox:
        options = [*at(sandbox, tmp_path / "o.db"), *mine, "--json"]
        done = leadconnector("import", *copies, *options)
        assert done.exit_code in (0, 3), done.output
        result = result_of(done.stdout)
        assert (result["pending"], result["unresolved"]) == (0, 0)
        assert result["sent"] + result["failed"] == result["staged"] > 0
        assert result["sent"] == len(sandbox.messages) > 0
        told = reasons(tmp_path)
        assert len(told) == result["failed"]
        assert all(reason.partition(": ")[2] for reason in told)
