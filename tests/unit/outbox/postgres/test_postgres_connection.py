from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import pytest
from asyncpg import exceptions as pg
from http_peer import serving
from outbox_kit import draft, drafts, published
from postgres_kit import cut_off
from postgres_server import LOCKED_USER, standby

from leadconnector_async.errors import (
    OutboxBusyError,
    OutboxError,
    OutboxUnusableError,
    OutboxWriteError,
)
from leadconnector_async.outbox.open import open_outbox, read_outbox
from leadconnector_async.outbox.postgres.connection import (
    READING,
    WRITING,
    JobRunner,
    connect,
    explained,
)
from leadconnector_async.outbox.postgres.outbox import PostgresOutbox
from leadconnector_async.outbox.postgres.place import read_place
from leadconnector_async.outbox.postgres.schema import FORMAT
from leadconnector_async.outbox.source_pass import SourcePass
from leadconnector_async.reports.outbox_status import status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from http_peer import Peer
    from postgres_server import PostgresServer

SECRET: Final = "tiger"


async def run_sql(url: str, *statements: str) -> None:
    """Execute statements as the server's owner, in the schema of a place."""
    connection = await connect(read_place(url), {})
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def opened(url: str) -> None:
    """Open and close an outbox."""
    async with await open_outbox(url):
        pass


def refusal(url: str) -> str:
    """Why an outbox cannot be opened: one line, without the password."""
    with pytest.raises(OutboxError) as caught:
        asyncio.run(opened(url))
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    return text


def of_user(url: str, name: str) -> str:
    """The same place for another user, with a password."""
    return url.replace("postgres@", f"{name}:{SECRET}@")


@pytest.mark.parametrize(
    ("url", "shown", "schema"),
    [
        ("postgresql://u:p@h:5/d", "postgresql://u@h:5/d", "leadconnector"),
        ("postgres://u:p%40@h/d?schema=a_1&sslmode=require", None, "a_1"),
        ("postgresql:///d?host=/run/pg&password=p&schema=X", None, "X"),
        ("postgresql://h/d", "postgresql://h/d", "leadconnector"),
    ],
)
def test_a_place_is_shown_without_its_password(url: str, shown: str | None, schema: str) -> None:
    """It can be given again as it is shown, with the password elsewhere."""
    place = read_place(url)
    assert place.schema == schema
    assert shown in {None, place.shown}
    assert "p@" not in place.shown
    assert "p%40" not in place.shown
    assert "password" not in place.shown
    assert "schema" not in place.dsn
    assert read_place(place.shown).shown == place.shown
    assert place.shown in repr(place)


@pytest.mark.parametrize("schema", ["pg_own", "1st", 'a"b', "x" * 58])
def test_a_schema_has_a_name_that_can_be_kept(schema: str) -> None:
    """Of letters, digits and `_`, and so short that `_moved` fits behind it."""
    with pytest.raises(OutboxUnusableError, match="57 at most"):
        read_place(f"postgresql://h/d?schema={schema}")


def test_no_server(tmp_path: Path) -> None:
    """Nor a host of that name."""
    for host in (f"/db?host={tmp_path}", "no.such.host.invalid/db"):
        assert "see that the server runs" in refusal(f"postgresql://u:{SECRET}@{host}")


@pytest.mark.parametrize(
    ("answer", "said"), [(b"N", "it speaks no TLS"), (b"", "what answers hangs up")]
)
async def test_what_answers_and_is_no_server(answer: bytes, said: str) -> None:
    """Its host is there, and nobody is sent to look for it."""

    async def serve(peer: Peer) -> None:
        await peer.reader.read(8)
        await peer.send(answer)

    async with serving(serve) as server:
        place = f"postgresql://u:{SECRET}@{server.url.partition('//')[2]}/db?sslmode=require"
        with pytest.raises(OutboxUnusableError, match=f"be reached \\({said}\\): see"):
            await open_outbox(place)


def test_a_wrong_database(postgres_place: str) -> None:
    """The server tells, and the fix is named."""
    wrong = of_user(postgres_place, "postgres").replace("/postgres?", "/nothing?")
    assert "there is no such database: make it" in refusal(wrong)


def test_a_wrong_password(own_postgres: PostgresServer, postgres_place: str) -> None:
    """The right one is taken."""
    locked = of_user(postgres_place, LOCKED_USER)
    drop = f"DROP ROLE IF EXISTS {LOCKED_USER}"
    make = f"CREATE ROLE {LOCKED_USER} SUPERUSER LOGIN PASSWORD '{SECRET}'"
    asyncio.run(run_sql(own_postgres.url, drop, make))
    assert "refuses the user or password" in refusal(locked.replace(SECRET, f"{SECRET}s"))
    asyncio.run(opened(locked))


def test_missing_rights(own_postgres: PostgresServer, postgres_place: str) -> None:
    """Who may make no schema uses one that was made, once it may use the tables."""
    schema, weak = read_place(postgres_place).schema, of_user(postgres_place, "weak")
    make = ("DROP ROLE IF EXISTS weak", "CREATE ROLE weak LOGIN")
    asyncio.run(run_sql(own_postgres.url, *make))
    assert "leadconnector outbox init" in refusal(weak)
    asyncio.run(opened(postgres_place))
    assert f'GRANT USAGE ON SCHEMA "{schema}"' in refusal(weak)
    grants = (
        f"GRANT USAGE ON SCHEMA {schema} TO weak",
        f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO weak",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO weak",
    )
    asyncio.run(run_sql(own_postgres.url, *grants))

    async def stage() -> None:
        async with await open_outbox(weak) as outbox:
            await published(outbox, drafts(3))
            assert len(await outbox.locations()) == 1

    asyncio.run(stage())
    drop = (f"DROP SCHEMA {schema} CASCADE", "DROP ROLE weak")
    asyncio.run(run_sql(own_postgres.url, *drop))


def test_a_foreign_schema(postgres_place: str) -> None:
    """Its tables are not touched."""
    schema = read_place(postgres_place).schema
    make = (f"CREATE SCHEMA {schema}", "CREATE TABLE record (theirs int)")
    asyncio.run(run_sql(postgres_place, *make))
    assert "choose another name for ?schema=" in refusal(postgres_place)
    asyncio.run(run_sql(postgres_place, "SELECT theirs FROM record"))


def test_a_newer_format(postgres_place: str) -> None:
    """One that can be read by this version is; one that cannot is refused, to read too."""
    asyncio.run(opened(postgres_place))
    newer = "UPDATE outbox_format SET format = {}, readable_from = {}"
    asyncio.run(run_sql(postgres_place, newer.format(FORMAT + 1, FORMAT)))
    asyncio.run(opened(postgres_place))
    asyncio.run(run_sql(postgres_place, newer.format(FORMAT + 1, FORMAT + 1)))
    assert "upgrade leadconnector-async" in refusal(postgres_place)
    with pytest.raises(OutboxUnusableError, match="upgrade leadconnector-async"):
        asyncio.run(read_outbox(postgres_place, status_of))


async def test_two_make_it_at_once(postgres_place: str) -> None:
    """One of them makes the tables, and both use them."""
    await asyncio.gather(*(opened(postgres_place) for _ in range(4)))


async def replicated(url: str) -> None:
    """Wait until a standby follows the server."""
    connection = await connect(read_place(url), {})
    try:
        while not await connection.fetchval("SELECT count(*) FROM pg_stat_replication"):  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)
    finally:
        await connection.close()


@pytest.mark.full
def test_a_standby_is_read_and_not_written(
    own_postgres: PostgresServer, postgres_place: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Reports may be made where they burden nobody. What a failover to it would lose is told."""

    async def stage() -> None:
        async with await open_outbox(postgres_place) as outbox:
            await published(outbox, drafts(3))

    asyncio.run(stage())
    second = standby(own_postgres)
    try:
        place = second.outbox(read_place(postgres_place).schema)
        assert "give the address of the primary" in refusal(place)
        assert asyncio.run(read_outbox(place, status_of)).pending == 3
        assert "synchronous" not in caplog.text
        asyncio.run(replicated(postgres_place))
        asyncio.run(opened(postgres_place))
        assert "none is synchronous: after a failover the last commits are gone" in caplog.text
    finally:
        second.stop()


@pytest.mark.slow
def test_a_server_that_is_set_to_read_only(postgres_place: str) -> None:
    """It is told as a standby is."""
    asyncio.run(opened(postgres_place))

    async def scenario() -> None:
        async with await open_outbox(postgres_place) as outbox:
            assert isinstance(outbox, PostgresOutbox)
            await outbox._runner.connection.execute("SET default_transaction_read_only = on")
            with pytest.raises(OutboxUnusableError, match="the primary"):
                await outbox.stage(drafts(1), SourcePass())

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("error", "of", "words"),
    [
        (pg.DiskFullError("could not extend file"), OutboxWriteError, "make room"),
        (pg.TooManyConnectionsError('for role "x"'), OutboxBusyError, r'\(for role "x"\)'),
        (pg.DuplicatePreparedStatementError("s exists"), OutboxUnusableError, "pool"),
        (pg.CannotConnectNowError("starting up"), OutboxWriteError, "run again once"),
        (pg.ConnectionDoesNotExistError("gone"), OutboxWriteError, "the connection was lost"),
        (pg.UndefinedTableError('relation "x"'), OutboxUnusableError, "restore it from a copy"),
        (
            pg.ProtocolViolationError("unsupported startup parameter: jit"),
            OutboxUnusableError,
            "pool",
        ),
        (pg.QueryCanceledError("timeout"), OutboxWriteError, "statement_timeout"),
        (pg.InternalServerError("odd\nDETAIL: a value"), OutboxWriteError, r"\(odd\)"),
    ],
)
def test_errors_name_the_fix(error: Exception, of: type[OutboxError], words: str) -> None:
    """In one line, of the class that a caller expects."""
    with pytest.raises(of, match=words):
        raise explained(read_place(f"postgresql://u:{SECRET}@h/d"), error)


@pytest.mark.slow
async def test_once_the_connection_is_lost_every_call_fails(postgres_place: str) -> None:
    """Nothing is half done, and what was done before is there."""
    outbox = await open_outbox(postgres_place)
    await outbox.stage([draft("a")], SourcePass())
    assert await cut_off(postgres_place) == 1
    for _ in range(2):
        with pytest.raises(OutboxWriteError):
            await outbox.stage([draft("b")], SourcePass())
    with pytest.raises(OutboxWriteError):
        await outbox.submit(draft("c"))
    await outbox.close()
    with pytest.raises(OutboxError, match="is closed"):
        await outbox.publish()
    async with await open_outbox(postgres_place) as again:
        assert await again.unsent() == {"l1": 1}


@contextmanager
def pooler(server: PostgresServer, **settings: object) -> Iterator[Path]:
    """A pooler before a server, and the folder of its socket."""
    program = shutil.which("pgbouncer")
    if program is None or server.folder is None:
        pytest.skip("there is no pgbouncer")
    folder = Path(tempfile.mkdtemp(dir=server.folder, prefix="p"))
    shutil.chown(folder, "nobody")
    config = folder / "pool.ini"
    config.write_text(
        f"[databases]\npostgres = host={server.folder} user=postgres\n[pgbouncer]\n"
        f"listen_addr =\nunix_socket_dir = {folder}\nauth_type = any\nlisten_port = 5432\n"
        + "".join(f"{name} = {value}\n" for name, value in settings.items())
    )
    with subprocess.Popen([program, "-q", "-u", "nobody", str(config)]) as process:
        try:
            for _ in range(100):
                if (folder / ".s.PGSQL.5432").exists():
                    break
                asyncio.run(asyncio.sleep(0.05))
            yield folder
        finally:
            process.terminate()


SETTINGS = ", ".join({**WRITING, "search_path": ""})


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("ignored", ["", SETTINGS])
def test_a_pooler_that_holds_no_lock_or_keeps_settings_is_refused(
    own_postgres: PostgresServer, postgres_place: str, ignored: str, mode: str
) -> None:
    """However it is set up: the lock would be nobody's, or the schema another one."""
    with pooler(own_postgres, pool_mode=mode, ignore_startup_parameters=ignored) as folder:
        place = postgres_place.replace(str(own_postgres.folder), str(folder))
        assert "connection pooler in transaction mode" in refusal(place)


def test_a_pooler_without_a_connection_left_is_told(
    own_postgres: PostgresServer, postgres_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lets everybody in, and has the first question wait: two minutes, where nothing ends it."""
    monkeypatch.setattr("leadconnector_async.outbox.postgres.connection._CONNECT_S", 2.0)
    session = {"pool_mode": "session", "default_pool_size": 1}

    async def main(place: str) -> str:
        only = await asyncpg.connect(read_place(place).dsn)
        await only.execute("SELECT 1")
        try:
            with pytest.raises(OutboxUnusableError) as caught:
                await open_outbox(place)
        finally:
            only.terminate()
        return str(caught.value)

    with pooler(own_postgres, **session, ignore_startup_parameters=SETTINGS) as folder:
        place = postgres_place.replace(str(own_postgres.folder), str(folder))
        assert "a pooler on the way there has connections left" in asyncio.run(main(place))


async def test_a_connecting_that_is_cancelled_leaves_no_connection(
    postgres_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is stopped as it opens its outbox left one on the server."""
    made: list[asyncpg.Connection] = []

    async def stopped(connection: asyncpg.Connection, *_: object, **_given: object) -> None:
        made.append(connection)
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncpg.Connection, "execute", stopped)
    with pytest.raises(asyncio.CancelledError):
        await connect(read_place(postgres_place), WRITING)
    (connection,) = made
    assert connection.is_closed()


async def test_a_closing_that_is_cancelled_leaves_no_connection(
    postgres_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that holds leases closes two: cancelled at the first, it left the other open."""
    made: list[asyncpg.Connection] = []

    async def noted(*given: Any, **options: Any) -> asyncpg.Connection:  # noqa: ANN401 - as the driver's
        made.append(await connecting(*given, **options))
        return made[-1]

    connecting = asyncpg.connect
    monkeypatch.setattr(asyncpg, "connect", noted)
    outbox = await PostgresOutbox.open(postgres_place)
    await outbox.acquire("here")
    closing = asyncio.create_task(outbox.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    async with asyncio.timeout(30):
        while not all(connection.is_closed() for connection in made):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.001)
    assert len(made) == 2


async def test_a_connection_that_is_made_amid_the_closing_is_closed(
    postgres_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one for leases is made when the first is asked for: nobody else would end it."""
    outbox = await PostgresOutbox.open(postgres_place)
    made: list[asyncpg.Connection] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def late(*given: Any, **options: Any) -> asyncpg.Connection:  # noqa: ANN401 - as the driver's
        begun.set()
        await go_on.wait()
        made.append(await connecting(*given, **options))
        return made[-1]

    connecting = asyncpg.connect
    monkeypatch.setattr(asyncpg, "connect", late)
    asking = asyncio.create_task(outbox.acquire("here"))
    await begun.wait()
    closing = asyncio.create_task(outbox.close())
    asyncio.get_running_loop().call_later(0, go_on.set)
    await asyncio.wait([asking, closing])
    assert asking.exception() is None or isinstance(asking.exception(), OutboxError)
    assert [connection.is_closed() for connection in made] == [True]


def test_a_loop_that_ends_amid_the_closing_leaves_no_connection(postgres_place: str) -> None:
    """A closing that was cancelled goes on by itself, until all that does is cancelled."""

    async def leave() -> asyncpg.Connection:
        outbox = await PostgresOutbox.open(postgres_place)
        (runner,) = outbox._runners
        job = asyncio.create_task(runner.run(lambda at: at.execute("SELECT pg_sleep(60)")))
        closing = asyncio.create_task(outbox.close())
        while not runner.closed:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        assert not job.done()
        return runner.connection

    assert asyncio.run(leave()).is_closed()


@pytest.mark.parametrize("settings", [READING, WRITING])
def test_a_connection_may_be_idle(
    own_postgres: PostgresServer, postgres_place: str, settings: dict[str, str]
) -> None:
    """Whatever the server's setting: it waits for people, for sources and for answers."""

    async def main() -> str:
        admin = await asyncpg.connect(own_postgres.url)
        await admin.execute("CREATE ROLE hasty SUPERUSER LOGIN")
        try:
            await admin.execute("ALTER ROLE hasty SET idle_session_timeout = '300ms'")
            place = read_place(postgres_place.replace("postgres@", "hasty@"))
            connection = await connect(place, settings)
            found = await connection.fetchval("SHOW idle_session_timeout")
            await connection.close()
        finally:
            await admin.execute("DROP ROLE hasty")
            await admin.close()
        return str(found)

    assert asyncio.run(main()) == "0"


class Ended:
    """A connection that asyncpg has taken apart while a call of it waited to go on."""

    def __init__(self, *, closed: bool) -> None:
        self._closed = closed

    def is_closed(self) -> bool:
        """As the driver says."""
        return self._closed

    async def execute(self, _: str) -> None:
        """Complain as the driver does."""
        raise AttributeError("'NoneType' object has no attribute 'get_settings'")


@pytest.mark.parametrize("closed", [True, False])
def test_a_connection_that_is_ended_amid_a_call_was_lost(*, closed: bool) -> None:
    """The driver's own complaint ends no worker; one with another cause is a fault of ours."""

    async def main() -> None:
        await JobRunner(read_place("postgresql://h/d"), Ended(closed=closed)).run(opened)

    with pytest.raises(OutboxWriteError if closed else AttributeError, match=r"lost|get_settings"):
        asyncio.run(main())


async def test_closing_waits_for_no_server_that_is_cut_off(
    postgres_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or is frozen: a service would be killed as it ends. Whoever waits for it is told."""
    monkeypatch.setattr("leadconnector_async.outbox.postgres.connection.HANGS_S", 0.05)
    place = read_place(postgres_place)
    runner = JobRunner(place, await connect(place, {}))
    job = asyncio.create_task(runner.run(lambda own: own.execute("SELECT pg_sleep(600)")))
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await runner.close()
        with pytest.raises(OutboxWriteError, match="the connection was lost"):
            await job
