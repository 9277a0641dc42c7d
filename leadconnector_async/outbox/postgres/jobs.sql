-- unsent
SELECT name, n FROM (
        SELECT location, sum(n)::bigint FROM (
            SELECT location, n FROM tally WHERE state = 0
            UNION ALL SELECT location, pending FROM tenure
            UNION ALL SELECT -location, -count(*) FROM queue WHERE location < 0
                GROUP BY location) AS parts
        GROUP BY location) AS of (id, n) JOIN location USING (id)
    WHERE n > 0 ORDER BY id
