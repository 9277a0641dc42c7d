-- records that neither wait nor have an end
SELECT count(*) FROM record r
    LEFT JOIN queue q ON q.location IN (r.location, -r.location)
        AND (q.lane, q.date, q.seq) = (r.lane, r.date, r.seq)
    LEFT JOIN outcome o USING (location, lane, seq)
    WHERE q.seq IS NULL AND o.seq IS NULL
        AND (payload IS NULL OR r.seq <= (SELECT seq FROM sealed))

-- counts of a location that differ from its records
SELECT count(*) FROM (
    SELECT location, state, sum(n) FROM (
        SELECT location, state, n FROM tally
        UNION ALL SELECT r.location, coalesce(o.state, 0), -count(*)
            FROM record r LEFT JOIN outcome o USING (location, lane, seq) GROUP BY 1, 2)
    GROUP BY 1, 2 HAVING sum(n) != 0)

-- notes on records that are not there
SELECT count(*) FROM (
        SELECT seq FROM origin
        UNION ALL SELECT seq FROM copy
        UNION ALL SELECT seq FROM former
        UNION ALL SELECT seq FROM reused
        UNION ALL SELECT seq FROM trail) AS note
    WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.seq = note.seq)

-- records whose location, source or reason is not there
SELECT count(*) FROM record WHERE location NOT IN (SELECT id FROM location)
    UNION ALL SELECT count(*) FROM origin
        WHERE source > 0 AND source NOT IN (SELECT id FROM source)
    UNION ALL SELECT count(*) FROM outcome
        WHERE reason IS NOT NULL AND reason NOT IN (SELECT id FROM reason)
