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
