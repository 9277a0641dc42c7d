-- leased
SELECT epoch, id, day_used, day_ends, window_used, window_ends, day_limit
    FROM ({rows}) CROSS JOIN location ON id = column1 LEFT JOIN quota ON quota.location = id

-- traces
SELECT seq, parent, state FROM trace WHERE seq IN ({rows})

-- unsent
SELECT name, n - coalesce(later, 0) AS left FROM tally
        JOIN location ON location.id = tally.location
        LEFT JOIN (SELECT location AS id, count(*) AS later FROM queue WHERE location < 0
            GROUP BY location) AS parked ON parked.id = -tally.location
    WHERE state = 0 AND left > 0 ORDER BY location.id

-- candidates
SELECT record.seq, location, lane, coalesce(source, 0), date,
        iif(?, payload, NULL), iif(?, late, NULL)
    FROM record LEFT JOIN origin ON origin.seq = record.seq
    WHERE payload IS NOT NULL ORDER BY date, record.seq

-- leave_for_later
--     In the order of the queue, in which it is written too: one by one, each would be another page.
UPDATE queue SET location = -location
    WHERE location > 0 AND seq NOT IN (SELECT seq FROM temp.taken)
