"""The store itself, which its thread owns: each method is one job in a transaction."""

from __future__ import annotations

import sqlite3
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from leadconnector_async.errors import LeaseLostError, OutboxUnusableError
from leadconnector_async.locking import OwnerLock, this_process
from leadconnector_async.outbox import database
from leadconnector_async.outbox.base import NO_BOUND, Acquired, Claim, Lease, Settlement, State
from leadconnector_async.outbox.database import Numbers, at_once, statements
from leadconnector_async.outbox.durable import check_settled, dedicate
from leadconnector_async.outbox.lookups import Lookups
from leadconnector_async.outbox.selection import Selection, SelectionPass
from leadconnector_async.outbox.sqlite import connection as file
from leadconnector_async.outbox.sqlite.claims import Claims
from leadconnector_async.outbox.sqlite.counters import SENT, Counters
from leadconnector_async.outbox.sqlite.enqueuer import Enqueuer, SqliteRequeuer
from leadconnector_async.outbox.sqlite.records import SqliteRecords
from leadconnector_async.outbox.staging import forget_unmet, stage, submit
from leadconnector_async.quota.limits import QuotaSnapshot
from leadconnector_async.records.draft import Draft, TraceContext

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from sqlite3 import Connection

    from leadconnector_async.outbox.base import Quotas, Staged, Submission, Wants
    from leadconnector_async.outbox.record_store import QueuePlace
    from leadconnector_async.outbox.source_pass import SourcePass

_SQL: Final = statements(__package__, "jobs")

_AT_FIRST: Final = f", {SENT}, 1"


class SqliteStore:
    """Owns the file until `close`."""

    def __init__(self, connection: Connection, lock: OwnerLock) -> None:
        self.connection = connection
        self._lock = lock
        self._tokens: dict[int, int] = {}
        database = self._database = file.FileDatabase(connection)
        self._numbers = Numbers(database)
        self._counters = Counters(connection)
        self.claims: Claims = Claims(connection)
        self.lookups: Lookups = Lookups(database)
        self.enqueuer: Enqueuer = Enqueuer(connection, self.claims, self.lookups)
        parts = connection, self._counters
        self.records: SqliteRecords = SqliteRecords(
            database, self._numbers, *parts, self.enqueuer, self.claims.index
        )
        self.requeuer: SqliteRequeuer = SqliteRequeuer(database, self.lookups, *parts, self.claims)

    def reload(self) -> None:
        """Read again whatever is kept in memory."""
        self._tokens.clear()
        self._numbers.forget()
        self.claims.reload()
        self.enqueuer.reload()
        self.records.reload()

    def close(self) -> None:
        """Let go of the file, and let the next owner in."""
        with suppress(sqlite3.Error, OSError):  # a full disk, say: what is committed stays
            self.connection.close()
            self._lock.note("")
        self._lock.release()

    def acquire(self, names: Sequence[str]) -> list[Acquired]:
        """Give the leases of locations, and with each what is held."""
        numbers = [(at_once(self._numbers.location(name)),) for name in names]
        file.run_rows(self.connection, _SQL["next_lease"], numbers)
        acquired = []
        rows = file.fetch_rows(self.connection, _SQL["leased"], numbers)
        for name, (token, number, *spent) in zip(names, rows, strict=True):
            self._tokens[number] = token
            lease = Lease(name, token, number)
            snapshot = None if spent[0] is None else QuotaSnapshot(*spent)
            acquired.append(Acquired(lease, self._traced(self.claims.unknown(lease)), snapshot))
        return acquired

    def _token(self, location: int) -> int:
        token = self._tokens.get(location)
        if token is None:
            query = "SELECT epoch FROM location WHERE id = ?"
            (token,) = self.connection.execute(query, (location,)).fetchone()
            self._tokens[location] = token
        return token

    def _check(self, leases: Iterable[Lease]) -> None:
        """See that leases are held: in the transaction that writes, so that none ends between."""
        for lease in leases:
            if self._token(lease.number) != lease.token:
                raise LeaseLostError(f"location {lease.location} was taken over: write nothing")

    def claim(self, wants: Wants, room: int = NO_BOUND) -> list[list[Claim]]:
        """See `Outbox.claim`."""
        self._check(lease for lease, _ in wants)
        batches = self.claims.claim(wants, room)
        self._traced([claim for claims in batches for claim in claims])
        return batches

    def _traced(self, claims: list[Claim]) -> list[Claim]:
        """Add of which traces records are: nearly always, none is."""
        if claims and self.connection.execute("SELECT 1 FROM trace LIMIT 1").fetchone():
            seqs = [(claim.seq,) for claim in claims]
            rows = file.fetch_rows(self.connection, _SQL["traces"], seqs)
            traces = {seq: TraceContext(parent, state) for seq, parent, state in rows}
            for claim in claims:
                claim.trace = traces.get(claim.seq)
        return claims

    def settle(self, settlements: Sequence[Settlement], quotas: Quotas) -> None:
        """See `Outbox.settle`. Each claim has its end, or is given back unsent."""
        self._check({fate[0].lease for fate in settlements}.union(lease for lease, _ in quotas))
        check_settled(settlements, self.claims.index.held)
        pending = State.PENDING
        given = [fate for fate in settlements if fate[1] is pending]
        ended = [fate for fate in settlements if fate[1] is not pending] if given else settlements
        places = self._give_back(given) + (self._end(ended) if ended else [])
        self.claims.index.drop(places)
        at_once(database.add_trails(self._database, settlements))
        self.claims.index.tidy(everything=bool(given))
        self._counters.quotas(quotas)
        if traced := [(fate[0].seq,) for fate in settlements if fate[0].trace and fate[1]]:
            file.run_rows(self.connection, _SQL["forget_traces"], traced)

    def _end(self, ended: Sequence[Settlement]) -> list[QueuePlace]:
        places = _places(ended)
        file.run_rows(self.connection, _SQL["leave"], places)
        sent = State.SENT
        plain, full = [], []
        for (location, lane, _, seq), fate in zip(places, ended, strict=True):
            _, state, at, tries, message, conversation, email, why, detail, _ = fate
            if state is sent and tries == 1 and email is None and why is None and detail is None:
                plain.append((location, lane, seq, at, message, conversation))
            else:
                reason = at_once(self._numbers.reason(why))
                ids = message, conversation, email
                full.append((location, lane, seq, at, *ids, int(state), tries, reason, detail))
        file.run_rows(self.connection, _SQL["sent"], plain, constants=_AT_FIRST)
        file.run_rows(self.connection, _SQL["end"], full)
        if plain:
            self._counters.settled(SENT, plain)
        for end in sorted({row[7] for row in full}):
            self._counters.settled(end, [row for row in full if row[7] == end])
        at_once(self.lookups.learn(ended))
        return places

    def _give_back(self, given: Sequence[Settlement]) -> list[QueuePlace]:
        places = _places(given)
        for place, fate in zip(places, given, strict=True):
            self.connection.execute(_SQL["stay"], (fate.attempts, *place))
            self.claims.arrived(place[0])
        return places

    def stored(self, claim: Claim) -> set[str]:
        """See `Outbox.stored`."""
        return at_once(database.stored(self._database, claim))

    def put_lookups(self, lease: Lease, lookups: Mapping[str, str]) -> None:
        """See `Outbox.put_lookups`."""
        self._check([lease])
        at_once(self.lookups.put(lease.number, lookups))

    def forget_lookups(self, lease: Lease, names: Collection[str]) -> None:
        """See `DurableOutbox.forget_lookups`."""
        self._check([lease])
        at_once(self.lookups.forget(lease.number, names))

    def source(self, name: str, form: bytes) -> int:
        """See `DurableOutbox.source`."""
        return at_once(self._database.number("source", name=name, form=form))

    def dedicate(self, destination: str, name: str, *, may_move: bool) -> None:
        """See `DurableOutbox.dedicate`."""
        at_once(dedicate(self._database, destination, name, may_move=may_move))

    def stage(self, drafts: Sequence[Draft], source_pass: SourcePass) -> Staged:
        """See `Outbox.stage`."""
        return at_once(stage(self.records, drafts, source_pass))

    def end(self, source_pass: SourcePass, prefix: bytes) -> None:
        """See `DurableOutbox.end`."""
        at_once(forget_unmet(self.records, source_pass, prefix))

    def take_in(
        self, drafts: Sequence[Draft], wants: Wants = (), room: int = NO_BOUND
    ) -> tuple[list[Submission], list[list[Claim]]]:
        """See `Outbox.take_in`."""
        return at_once(submit(self.records, drafts)), self.claim(wants, room)

    def locations(self) -> list[str]:
        """See `Outbox.locations`."""
        return [name for (name,) in self.connection.execute(database.LOCATIONS)]

    def select(self, selection: Selection | None) -> None:
        """See `DurableOutbox.select`."""
        execute = self.connection.execute
        execute("UPDATE queue SET location = -location WHERE location < 0")
        if selection is not None:
            walk = SelectionPass(selection, self.claims.index.held)
            candidates = execute(_SQL["candidates"], (bool(selection.only),) * 2)
            execute("CREATE TEMP TABLE taken (seq INTEGER PRIMARY KEY)")
            taken = ((candidate[0],) for candidate in candidates if walk.takes(candidate))
            self.connection.executemany("INSERT INTO temp.taken VALUES (?)", taken)
            walk.check()
            execute(_SQL["leave_for_later"])
            execute("DROP TABLE temp.taken")
        self.claims.arrived(None)

    def unsent(self) -> dict[str, int]:
        """See `DurableOutbox.unsent`."""
        return dict(self.connection.execute(_SQL["unsent"]).fetchall())


def _places(fates: Sequence[Settlement]) -> list[QueuePlace]:
    claims = [fate[0] for fate in fates]
    return [(claim.lease.number, claim.lane, claim.date, claim.seq) for claim in claims]


def open_store(path: str, connect: file.Connect) -> SqliteStore:
    """Take the lock, and open the file or make it.

    Raises:
        OutboxBusyError: someone else has it.
        OutboxUnusableError, OutboxWriteError: it cannot be used.
    """
    try:
        with ExitStack() as undo:
            lock = undo.enter_context(OwnerLock(path))
            if lock.noted and Path(path).exists():
                _check_log(path, lock.noted)
            connection = undo.enter_context(closing(file.open_to_write(path, connect)))
            connection.execute("BEGIN IMMEDIATE")
            store = SqliteStore(connection, lock)
            now = time.time_ns() // 1_000_000
            connection.execute(_SQL["owned"], (now, this_process()))
            connection.execute("COMMIT")
            lock.note(str(now))
            undo.pop_all()
            return store
    except (sqlite3.Error, OSError, *file.DAMAGE) as error:
        raise file.explained(path, error) from error


def _check_log(path: str, owned: str) -> None:
    """See that the file still knows its last owner, which was killed.

    Raises:
        OutboxUnusableError: what was written then is gone, with SQLite's log or as in an old copy.
    """
    with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as found:
        try:
            known = found.execute("SELECT 1 FROM owner WHERE at = ?", (owned,)).fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            known = None
    if known is None:
        raise OutboxUnusableError(database.fault("lost_log", path=path))
