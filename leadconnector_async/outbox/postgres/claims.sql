-- walk
--     The first rows of lanes, each lane found by a seek of the index: a round of the walk.
WITH RECURSIVE wanted AS (
        SELECT * FROM unnest($1::int[], $2::bigint[], $3::int[], $4::int[])
            AS w (location, begins, lanes, depth)),
    walk AS (
        SELECT w.location, first.lane, w.lanes, w.depth FROM wanted w CROSS JOIN LATERAL (
            SELECT q.lane FROM queue q WHERE q.location = w.location AND q.lane >= w.begins
            ORDER BY q.lane LIMIT 1) AS first
        UNION ALL
        SELECT w.location, next.lane, w.lanes - 1, w.depth FROM walk w CROSS JOIN LATERAL (
            SELECT q.lane FROM queue q WHERE q.location = w.location AND q.lane > w.lane
            ORDER BY q.lane LIMIT 1) AS next
        WHERE w.lanes > 1)
    SELECT w.location, e.lane, e.date, e.seq, e.attempts FROM walk w CROSS JOIN LATERAL (
        SELECT q.lane, q.date, q.seq, q.attempts FROM queue q
        WHERE q.location = w.location AND q.lane = w.lane ORDER BY q.date, q.seq LIMIT w.depth)
        AS e

-- deepen
SELECT w.location, e.lane, e.date, e.seq, e.attempts
    FROM unnest($1::int[], $2::bigint[], $3::int[]) AS w (location, lane, most)
        CROSS JOIN LATERAL (
            SELECT q.lane, q.date, q.seq, q.attempts FROM queue q
            WHERE q.location = w.location AND q.lane = w.lane
            ORDER BY q.date, q.seq LIMIT w.most) AS e

-- hold
--     Notes what is claimed under its leases, and reads it. Where one of them is not held any
--     more, the division fails, and with it all of the statement.
WITH found AS (
        SELECT seq, location, key, payload, late FROM (
            SELECT seq, r.location, key, payload, late, sum(octet_length(payload) + $5::bigint)
                OVER (ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
            FROM unnest($1::bigint[]) WITH ORDINALITY AS w (seq, place) JOIN record r USING (seq))
            AS weighed
        WHERE coalesce(before, 0) < $4),
    got AS (SELECT location, array_agg(seq) AS seqs FROM found GROUP BY location),
    fenced AS (
        UPDATE tenure t SET held = held || seqs
        FROM unnest($2::int[], $3::bigint[]) AS l (location, token) JOIN got USING (location)
        WHERE t.location = l.location AND epoch = token RETURNING 1)
    SELECT seq, key, payload, late, parent, state FROM found LEFT JOIN trace USING (seq)
    WHERE 1 / ((SELECT count(*) FROM fenced) = (SELECT count(*) FROM got))::int = 1

-- held
SELECT q.lane, q.date, seq, r.key, r.payload, q.attempts, r.late, parent, state
    FROM unnest($2::bigint[]) AS h (seq) JOIN record r USING (seq)
        JOIN queue q USING (location, lane, date, seq) LEFT JOIN trace USING (seq)
    WHERE location = $1 ORDER BY q.lane, q.date, seq
