-- The tables of an outbox, as its first format had them. What changes stands in schema._ADDED.

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
