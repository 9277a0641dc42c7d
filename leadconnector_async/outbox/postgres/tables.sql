-- The tables of an outbox: as its first format had them, and then what each one has changed.

CREATE TABLE outbox_format (format int NOT NULL, readable_from int NOT NULL);
CREATE SEQUENCE record_number INCREMENT BY 4096;
CREATE SEQUENCE stager_number;
CREATE TABLE location (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE UNIQUE INDEX location_name ON location (md5(name));
CREATE TABLE source (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, form bytea NOT NULL);
CREATE UNIQUE INDEX source_name ON source (md5(name), md5(form));
CREATE TABLE reason (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL);
CREATE UNIQUE INDEX reason_text ON reason (md5(text));

-- payload is NULL exactly where validation refused the record, or it is left out; source, line and
-- raw say where it came from last, if it came from a source.
CREATE TABLE record (
    seq bigint PRIMARY KEY, lane bigint NOT NULL, date bigint NOT NULL, location int NOT NULL,
    traits smallint NOT NULL, source int, line int, key bytea NOT NULL, payload bytea, late text,
    raw bytea);
CREATE UNIQUE INDEX record_key ON record (location, key);
CREATE INDEX record_traits ON record (seq) WHERE traits <> 0;

-- What was staged and is not published: numbers from "first" to before "end", by who stages.
CREATE TABLE unpublished (
    first bigint PRIMARY KEY, "end" bigint NOT NULL, stager bigint NOT NULL);

-- Every record that is published and not settled, in flight or not.
CREATE TABLE queue (
    lane bigint NOT NULL, date bigint NOT NULL, seq bigint NOT NULL, location int NOT NULL,
    attempts int NOT NULL, PRIMARY KEY (location, lane, date, seq))
    WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.1);

-- Written by the owner of the location alone: its fencing token, what is claimed and not settled,
-- what was settled and put back, and the quota that is used.
CREATE TABLE tenure (
    location int PRIMARY KEY, epoch bigint NOT NULL DEFAULT 0,
    held bigint[] NOT NULL DEFAULT '{}',
    pending bigint NOT NULL DEFAULT 0, sent bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0, unresolved bigint NOT NULL DEFAULT 0,
    first_at bigint, last_at bigint,
    day_used bigint, day_ends bigint, window_used bigint, window_ends bigint, day_limit bigint)
    WITH (fillfactor = 30, autovacuum_vacuum_scale_factor = 0.02);
-- What is held changes with each batch: to compress it costs more than its bytes do.
ALTER TABLE tenure ALTER held SET STORAGE EXTERNAL;

CREATE TABLE outcome (
    lane bigint NOT NULL, seq bigint NOT NULL, at bigint NOT NULL, location int NOT NULL,
    attempts int NOT NULL, reason int, state smallint NOT NULL, message_id text,
    conversation_id text, email_message_id text, detail bytea, PRIMARY KEY (location, lane, seq));
-- 2 is State.SENT: a million sent records are not in here.
CREATE INDEX outcome_failed ON outcome (state, reason, seq) WHERE state > 2;

-- What is counted when records are staged, mended or given up. "part" keeps rehearsals apart.
CREATE TABLE tally (
    location int NOT NULL, state smallint NOT NULL, part int NOT NULL, n bigint NOT NULL,
    PRIMARY KEY (location, state, part)) WITH (fillfactor = 50);
-- How many were sent in each span of ten seconds, by process: nobody waits for another's row.
CREATE TABLE pace (
    span bigint NOT NULL, part int NOT NULL, sent bigint NOT NULL, PRIMARY KEY (span, part))
    WITH (fillfactor = 50);

-- What the API's answers taught: ids of contacts and conversations, URLs of files, threads.
CREATE TABLE lookup (
    location int NOT NULL, name text COLLATE "C" NOT NULL, value text NOT NULL,
    PRIMARY KEY (location, name));

-- How often a source holds a record that it is not the origin of, or more often than once: at most
-- in one pass (n), and in the latest (met in source_pass).
CREATE TABLE copy (
    source int NOT NULL, seq bigint NOT NULL, n int NOT NULL, met int NOT NULL,
    source_pass bigint NOT NULL, line int NOT NULL, PRIMARY KEY (source, seq));
CREATE INDEX copy_seq ON copy (seq);
-- Digests of the lines that a record was before it was mended.
CREATE TABLE former (seq bigint NOT NULL, line bytea NOT NULL, PRIMARY KEY (seq, line));
-- Digests of what records say that were refused since their id is another's.
CREATE TABLE reused (seq bigint PRIMARY KEY, content bytea NOT NULL);

-- Format 2
-- What happened to a record on its way, but for a first request that stored it.
CREATE TABLE trail (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seq bigint NOT NULL, at bigint NOT NULL,
    what text NOT NULL, trace text);
CREATE INDEX trail_record ON trail (seq);
-- Who has owned a location, from when on.
CREATE TABLE owner (location int NOT NULL, at bigint NOT NULL, worker text NOT NULL);
CREATE INDEX owner_location ON owner (location, at);

-- Format 3
-- Records whose end somebody waits for: who settles one tells it.
CREATE TABLE awaited (seq bigint PRIMARY KEY);

-- What files hold that records have which are not sent: in pieces, once for each content.
CREATE TABLE file (digest text COLLATE "C" PRIMARY KEY);
CREATE TABLE file_piece (
    digest text COLLATE "C" NOT NULL, n int NOT NULL, content bytea NOT NULL,
    PRIMARY KEY (digest, n));
ALTER TABLE file_piece ALTER content SET STORAGE EXTERNAL; -- pictures are compressed already
CREATE TABLE file_use (
    seq bigint NOT NULL, digest text COLLATE "C" NOT NULL, PRIMARY KEY (seq, digest));
CREATE INDEX file_use_digest ON file_use (digest);

-- What OAuth gave, by installation: see auth.store.StoredTokens.
CREATE TABLE installation (
    name text COLLATE "C" PRIMARY KEY, access text, renew_at float8, ends_at float8, refresh text,
    seed bytea, asked bytea, asked_at float8);

-- Format 4
-- Why a location cannot go on, and since when, in Unix milliseconds. Written by its owner.
CREATE TABLE stopped (
    location int PRIMARY KEY, at bigint NOT NULL, kind text NOT NULL, refusal bytea NOT NULL);

-- Format 5
-- Of which trace records are that were submitted within one and have no end.
CREATE TABLE trace (seq bigint PRIMARY KEY, parent text NOT NULL, state text);
