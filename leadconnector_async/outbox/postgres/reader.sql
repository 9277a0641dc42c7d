-- location
SELECT id FROM location WHERE md5(name) = md5($1)

-- totals
SELECT name, state, sum(n)::bigint FROM (
        SELECT location, state::int, n FROM tally
        UNION ALL SELECT location, p.state, p.n FROM tenure CROSS JOIN LATERAL (VALUES
            (0, pending - cardinality(held)), (1, cardinality(held)), (2, sent), (3, rejected),
            (4, unresolved)) AS p (state, n)) AS parts
        JOIN location ON id = location
    GROUP BY id, name, state HAVING sum(n) <> 0 ORDER BY id, state

-- moments
SELECT min(first_at), max(last_at) FROM tenure

-- places
SELECT seq, coalesce(name, ''), coalesce(line, 0)
    FROM outcome o JOIN record r USING (seq) LEFT JOIN source ON source.id = r.source
    WHERE state > 2 AND state = $1 AND (reason = $2 OR $2::int IS NULL AND reason IS NULL)
    ORDER BY seq LIMIT $3

-- quotas
SELECT name, day_used, day_ends, window_used, window_ends, day_limit
    FROM tenure JOIN location ON id = location WHERE day_used IS NOT NULL

-- forms
SELECT DISTINCT form FROM outcome JOIN record r USING (seq)
    LEFT JOIN source ON source.id = r.source WHERE state > 2 AND state IN (3, 4)

-- by_line
SELECT DISTINCT seq FROM (SELECT source, line, seq FROM record
            UNION ALL SELECT source, line, seq FROM copy) AS place
        JOIN source ON source.id = place.source
    WHERE line = $2 AND ($1 IN ('', name) OR right(name, length($1) + 1) = '/' || $1)
    ORDER BY seq

-- by_text
SELECT seq FROM record
    WHERE convert_from(payload, 'UTF8') ILIKE $1 OR late ILIKE $1 ORDER BY date, seq

-- origin
LEFT JOIN source ON source.id = r.source

-- positions
SELECT name, line FROM (
        SELECT 0 AS place, source, line FROM record WHERE seq = $1
        UNION ALL SELECT 1, source, line FROM copy WHERE seq = $1) AS found
    JOIN source ON source.id = source ORDER BY place, name, line

-- trail
SELECT at, what, trace FROM trail WHERE seq = $1 ORDER BY id

-- owner
SELECT worker FROM owner WHERE location = $1 AND at <= $2
    ORDER BY at DESC LIMIT 1

-- failed
SELECT seq FROM outcome o JOIN record r USING (seq)
    WHERE state > 2 AND state IN (3, 4) ORDER BY source NULLS FIRST, line NULLS FIRST, seq

-- failed_pages
SELECT r.key, location.name, o.state, text, o.detail,
        coalesce(source.name, ''), source.form, coalesce(line, 0), raw, payload, late
    FROM unnest($1::bigint[]) WITH ORDINALITY AS chosen (seq, place) JOIN record r USING (seq)
        JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
        JOIN location ON location.id = r.location
        LEFT JOIN reason ON reason.id = o.reason
        LEFT JOIN source ON source.id = r.source
    WHERE o.state IN (3, 4) ORDER BY place

-- records
SELECT r.seq, location.name, r.date, payload, coalesce(o.state, 0),
        o.state = 2 AND o.reason IS NOT NULL, form, CASE WHEN payload IS NULL THEN raw END
    FROM (SELECT * FROM record WHERE seq > $1 ORDER BY seq LIMIT $2) AS r
        JOIN location ON location.id = r.location
        LEFT JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
        LEFT JOIN source ON source.id = r.source AND payload IS NULL
    ORDER BY r.seq

-- owners
SELECT application_name, number, coalesce((
        SELECT sum(sent) FROM pace WHERE part = pid AND span >= $2), 0)::bigint
    FROM (SELECT pid, array_agg(objid::bigint) AS number FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND classid::bigint = $1 & 4294967295
            AND objid::bigint >> 24 = ANY ($3::int[])
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        GROUP BY pid) AS of JOIN pg_stat_activity USING (pid) ORDER BY backend_start, pid

-- unsettled
SELECT name, unsettled, rejected, unresolved FROM (
        SELECT location, count(*) FILTER (WHERE state = 0) AS unsettled,
            count(*) FILTER (WHERE state = 3) AS rejected,
            count(*) FILTER (WHERE state = 4) AS unresolved
        FROM (SELECT location, seq, 0::smallint AS state FROM queue
            UNION ALL SELECT location, seq, 0::smallint
                FROM unpublished JOIN record ON seq >= first AND seq < "end"
                WHERE payload IS NOT NULL
            UNION ALL SELECT location, seq, state
                FROM outcome WHERE state > 2 AND state IN (3, 4)) AS o
        WHERE CASE WHEN $1::bytea IS NULL THEN true
            WHEN seq >= $2::bigint AND seq < $2 + 8 * length($1) THEN get_bit($1, seq - $2) = 1
            ELSE false END
        GROUP BY location) AS counts
    JOIN location ON id = location ORDER BY id
