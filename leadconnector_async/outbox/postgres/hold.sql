-- Notes what is claimed under its leases, and reads it. Where one of them is not held any more, the
-- division fails, and with it all of the statement.
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
