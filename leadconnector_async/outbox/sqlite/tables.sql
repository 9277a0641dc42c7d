-- The tables of an outbox file: as its first format had them, and then what each one has changed.

CREATE TABLE location (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch INTEGER NOT NULL DEFAULT 0);
CREATE TABLE source (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, form BLOB NOT NULL, UNIQUE (name, form));
CREATE TABLE reason (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);

CREATE TABLE record ( -- payload is NULL exactly where validation refused it, or it is left out
    seq INTEGER PRIMARY KEY, location INTEGER NOT NULL, lane INTEGER NOT NULL,
    date INTEGER NOT NULL, key BLOB NOT NULL, payload BLOB);
CREATE UNIQUE INDEX record_key ON record (location, key);
-- Apart from record, which is read for each request: this is for a list of failed ones only.
CREATE TABLE origin (
    seq INTEGER PRIMARY KEY, source INTEGER NOT NULL, line INTEGER NOT NULL, raw BLOB);

-- Every record that is published and not settled, in flight or not.
CREATE TABLE queue (
    location INTEGER NOT NULL, lane INTEGER NOT NULL, date INTEGER NOT NULL,
    seq INTEGER NOT NULL, attempts INTEGER NOT NULL,
    PRIMARY KEY (location, lane, date, seq)) WITHOUT ROWID;
-- One row per call of claim(): its records, those settled since included.
CREATE TABLE claimed (batch INTEGER PRIMARY KEY, seqs BLOB NOT NULL);
-- In the order of settling, so that new rows fill pages. What is clustered is the index only.
CREATE TABLE outcome (
    id INTEGER PRIMARY KEY, location INTEGER NOT NULL, lane INTEGER NOT NULL,
    seq INTEGER NOT NULL, state INTEGER NOT NULL, at INTEGER NOT NULL,
    attempts INTEGER NOT NULL, message_id TEXT, conversation_id TEXT,
    email_message_id TEXT, reason INTEGER, detail BLOB);
CREATE UNIQUE INDEX outcome_lane ON outcome (location, lane, seq);
-- 2 is State.SENT: a million sent records are not in here.
CREATE INDEX outcome_failed ON outcome (state, reason, seq) WHERE state > 2;

CREATE TABLE tally (
    location INTEGER NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL,
    first_at INTEGER, last_at INTEGER, PRIMARY KEY (location, state)) WITHOUT ROWID;
-- How many were sent in each span of ten seconds, for a rate.
CREATE TABLE pace (span INTEGER PRIMARY KEY, sent INTEGER NOT NULL);
-- How much of each location's quota is used.
CREATE TABLE spend (
    location INTEGER PRIMARY KEY, day_used INTEGER NOT NULL, day_ends INTEGER NOT NULL,
    window_used INTEGER NOT NULL, window_ends INTEGER NOT NULL);

-- Records up to here are published, and beyond it those in early.
CREATE TABLE sealed (seq INTEGER NOT NULL);
INSERT INTO sealed VALUES (0);
CREATE TABLE early (seq INTEGER PRIMARY KEY);

-- Format 2
ALTER TABLE record ADD COLUMN late TEXT;
-- What the API's answers taught: ids of contacts and conversations, URLs of files, threads.
CREATE TABLE fact (
    location INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (location, name)) WITHOUT ROWID;

-- Format 3
ALTER TABLE spend ADD COLUMN day_limit INTEGER;
-- How often a source holds a record that it is not the origin of, or more often than once: at most
-- in one pass (n), and in the latest (met in reading).
CREATE TABLE copy (
    source INTEGER NOT NULL, seq INTEGER NOT NULL, n INTEGER NOT NULL, met INTEGER NOT NULL,
    reading INTEGER NOT NULL, line INTEGER NOT NULL, PRIMARY KEY (source, seq)) WITHOUT ROWID;
-- Digests of the lines that a record was before it was mended.
CREATE TABLE former (
    seq INTEGER NOT NULL, line BLOB NOT NULL, PRIMARY KEY (seq, line)) WITHOUT ROWID;
-- Digests of what records say that were refused since their id is another's.
CREATE TABLE reused (seq INTEGER PRIMARY KEY, content BLOB NOT NULL);

-- Format 4
ALTER TABLE record ADD COLUMN traits INTEGER NOT NULL DEFAULT 0;

-- Format 5
-- What happened to a record on its way, but for a first request that stored it.
CREATE TABLE trail (
    seq INTEGER NOT NULL, at INTEGER NOT NULL, what TEXT NOT NULL, trace TEXT);
CREATE INDEX trail_record ON trail (seq);
-- Who has owned the outbox, from when on.
CREATE TABLE owner (at INTEGER NOT NULL, worker TEXT NOT NULL);

-- Format 6
-- What is alike in the lines of many records: see `source_form`.
CREATE TABLE shape (id INTEGER PRIMARY KEY, text BLOB NOT NULL);
-- Of which trace records are that were submitted within one and have no end.
CREATE TABLE trace (seq INTEGER PRIMARY KEY, parent TEXT NOT NULL, state TEXT);

-- Format 7: the names that a database has for the same
ALTER TABLE fact RENAME TO lookup;
ALTER TABLE spend RENAME TO quota;
ALTER TABLE copy RENAME COLUMN reading TO source_pass;
