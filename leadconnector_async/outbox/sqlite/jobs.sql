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

-- next_lease
UPDATE location SET epoch = epoch + 1 WHERE id IN ({rows})

-- owned
INSERT INTO owner (at, worker) VALUES (?, ?)

-- leave
--     A bare list of VALUES there would be looked through for each row of the queue.
DELETE FROM queue WHERE (location, lane, date, seq) IN (SELECT * FROM ({rows}))

-- sent
--     Of nearly all there is nothing more to say, and a third of the time goes by the values.
INSERT OR FAIL INTO outcome (location, lane, seq, at, message_id,
    conversation_id, state, attempts) {rows}

-- end
INSERT OR FAIL INTO outcome (location, lane, seq, at, message_id,
    conversation_id, email_message_id, state, attempts, reason, detail) {rows}

-- stay
UPDATE queue SET attempts = ?
    WHERE location = ? AND lane = ? AND date = ? AND seq = ?

-- forget_traces
DELETE FROM trace WHERE seq IN ({rows})
