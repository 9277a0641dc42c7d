-- records that neither wait nor have an end
SELECT count(*) FROM record r
    LEFT JOIN queue q ON q.location IN (r.location, -r.location)
        AND (q.lane, q.date, q.seq) = (r.lane, r.date, r.seq)
    LEFT JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
    WHERE q.seq IS NULL AND o.seq IS NULL AND (payload IS NULL
        OR NOT EXISTS (SELECT FROM unpublished WHERE r.seq >= first AND r.seq < "end"))

-- claims that wait in no queue
SELECT count(*) FROM (SELECT location, unnest(held) AS seq FROM tenure) AS h
    WHERE NOT EXISTS (
        SELECT FROM record r JOIN queue q
            ON (q.location, q.lane, q.date, q.seq) = (r.location, r.lane, r.date, r.seq)
        WHERE r.seq = h.seq AND r.location = h.location)

-- counts of a location that differ from its records
SELECT count(*) FROM (
    SELECT location, state, sum(n) FROM (
        SELECT location, state, n FROM tally
        UNION ALL SELECT location, state, n FROM tenure, LATERAL (VALUES
            (0::smallint, pending), (2, sent), (3, rejected), (4, unresolved)) AS of (state, n)
        UNION ALL SELECT r.location, coalesce(o.state, 0::smallint), -count(*)
            FROM record r
            LEFT JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)
            GROUP BY 1, 2) AS all_counts
    GROUP BY 1, 2 HAVING sum(n) <> 0) AS differing

-- notes on records that are not there
SELECT count(*) FROM (
        SELECT seq FROM awaited
        UNION ALL SELECT seq FROM copy
        UNION ALL SELECT seq FROM file_use
        UNION ALL SELECT seq FROM former
        UNION ALL SELECT seq FROM reused
        UNION ALL SELECT seq FROM trail) AS note
    WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.seq = note.seq)

-- records whose location, source or reason is not there
SELECT count(*) FROM record WHERE location NOT IN (SELECT id FROM location)
    UNION ALL SELECT count(*) FROM record
        WHERE source > 0 AND source NOT IN (SELECT id FROM source)
    UNION ALL SELECT count(*) FROM outcome
        WHERE reason IS NOT NULL AND reason NOT IN (SELECT id FROM reason)
