-- await
WITH noted AS (
        INSERT INTO awaited SELECT unnest($1::bigint[]) ON CONFLICT DO NOTHING)
    SELECT pg_notify($2, said) FROM unnest($3::text[]) AS of (said)

-- await_open
--     Notes whose ends are waited for, of records that have none, and tells their locations.
WITH open AS (
        SELECT r.seq, l.name FROM unnest($1::bigint[]) AS w (seq) JOIN record r USING (seq)
            JOIN location l ON l.id = r.location
            LEFT JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
            LEFT JOIN queue later ON later.location = -r.location
                AND (later.lane, later.date, later.seq) = (r.lane, r.date, r.seq)
        WHERE o.seq IS NULL AND later.seq IS NULL AND r.payload IS NOT NULL),
    noted AS (INSERT INTO awaited SELECT seq FROM open ON CONFLICT DO NOTHING)
    SELECT seq, name FROM open

-- stopped
SELECT name, kind, refusal, at, (extract(epoch FROM clock_timestamp()) * 1000)::bigint - at
    FROM stopped JOIN location ON id = location ORDER BY id

-- stop
INSERT INTO stopped VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, $2, $3)
    ON CONFLICT (location) DO UPDATE
    SET at = excluded.at, kind = excluded.kind, refusal = excluded.refusal

-- go_on
DELETE FROM stopped WHERE location = $1
