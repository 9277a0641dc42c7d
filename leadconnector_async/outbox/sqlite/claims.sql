-- queued
SELECT count(collect(lane, date, seq, attempts)) FROM (SELECT * FROM queue
    WHERE location = ? AND (lane, date, seq) > (?, ?, ?) ORDER BY lane, date, seq LIMIT ?)

-- of_lane
SELECT count(collect(lane, date, seq, attempts)) FROM (SELECT * FROM queue
    WHERE location = ? AND lane = ? ORDER BY date, seq LIMIT ?)

-- counted
SELECT column1, (SELECT count(*) FROM queue WHERE location = column1) FROM ({rows})

-- whole
SELECT count(collect(lane, date, seq, attempts, location))
    FROM ({rows}) CROSS JOIN queue ON location = column1

-- taken
--     Longer bodies are read one by one, while there is room.
SELECT count(collect(key, iif(length(payload) < 16384, payload, NULL), late))
    FROM ({rows}) LEFT JOIN record ON seq = column1

-- body
SELECT payload FROM record WHERE seq = ?

-- held
SELECT q.lane, q.date, q.seq, key, payload, attempts, late
    FROM record r JOIN queue q USING (location, lane, date, seq) WHERE r.seq IN ({rows})
