-- schema
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS installation (
    name TEXT PRIMARY KEY,
    access TEXT, renew_at REAL, ends_at REAL,
    refresh TEXT,
    seed BLOB,     -- digest of the refresh token that was given from outside
    asked BLOB,    -- digest of the refresh token that was sent last, until its answer is kept
    asked_at REAL
) STRICT;
PRAGMA application_id = {application};
PRAGMA user_version = {version};
COMMIT;

-- read
SELECT access, renew_at, ends_at, refresh, seed, asked, asked_at
    FROM installation WHERE name = $1

-- ask
INSERT INTO installation (name, asked, asked_at) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET asked = excluded.asked, asked_at = excluded.asked_at

-- keep
INSERT INTO installation (name, access, renew_at, ends_at, refresh, seed)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO UPDATE SET
        access = excluded.access, renew_at = excluded.renew_at, ends_at = excluded.ends_at,
        refresh = excluded.refresh, seed = excluded.seed, asked = NULL, asked_at = NULL
