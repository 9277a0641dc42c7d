from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from outbox_kit import ENVIRONMENT

from leadconnector_async.errors import OutboxBusyError
from leadconnector_async.locking import OwnerLock

HOLD = """
import sys
import time
from leadconnector_async.locking import OwnerLock
lock = OwnerLock(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""

if TYPE_CHECKING:
    from pathlib import Path


def holder(path: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock until it is killed or its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_owner_in_this_process_is_told_so(tmp_path: Path) -> None:
    """The message says that it is this process which has it open."""
    lock = OwnerLock(str(tmp_path / "o.db"))
    with pytest.raises(OutboxBusyError, match="open already, in this process"):
        OwnerLock(str(tmp_path / "o.db"))
    lock.release()


def test_another_owner_is_named_by_its_process(tmp_path: Path) -> None:
    """The process number is in the message; a killed owner holds nothing."""
    with holder(tmp_path / "o.db") as process:
        with pytest.raises(OutboxBusyError, match=f"by process {process.pid}: .* PostgreSQL"):
            OwnerLock(str(tmp_path / "o.db"))
        process.kill()
        process.wait()
        OwnerLock(str(tmp_path / "o.db")).release()


def test_a_lock_file_without_an_owner_is_no_obstacle(tmp_path: Path) -> None:
    """As a crash leaves it."""
    (tmp_path / "o.db.lock").write_text("123456")
    OwnerLock(str(tmp_path / "o.db")).release()


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be removed there")
def test_a_released_lock_leaves_no_file(tmp_path: Path) -> None:
    """Whoever made the folder finds only the outbox in it."""
    OwnerLock(str(tmp_path / "o.db")).release()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_owners_that_come_and_go_never_meet(tmp_path: Path) -> None:
    """The file may be removed by its last owner between another's opening it and locking it."""
    inside, most = [0], [0]

    def visit() -> None:
        visits = 0
        while visits < 100:
            try:
                lock = OwnerLock(str(tmp_path / "o.db"))
            except OutboxBusyError:
                continue
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0)  # lets the others try
            inside[0] -= 1
            lock.release()
            visits += 1

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(visit) for _ in range(4)]:
            future.result()
    assert most == [1]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_two_names_of_one_file_are_one_lock(tmp_path: Path) -> None:
    """A symbolic link does not let a second owner in."""
    (tmp_path / "link.db").symlink_to(tmp_path / "o.db")
    lock = OwnerLock(str(tmp_path / "o.db"))
    with pytest.raises(OutboxBusyError):
        OwnerLock(str(tmp_path / "link.db"))
    lock.release()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_the_lock_file_is_the_owners_alone(tmp_path: Path) -> None:
    """No one else can hold it against its owner."""
    lock = OwnerLock(str(tmp_path / "o.db"))
    assert lock.path.stat().st_mode & 0o777 == 0o600
    lock.release()
