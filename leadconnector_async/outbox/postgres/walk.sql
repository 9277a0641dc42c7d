-- The first rows of lanes, each lane found by a seek of the index: a round of the walk.
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
