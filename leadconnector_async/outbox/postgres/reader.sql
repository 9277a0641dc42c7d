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
