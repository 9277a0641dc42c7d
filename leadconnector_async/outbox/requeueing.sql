-- of_key
SELECT seq FROM location CROSS JOIN record r
    WHERE r.location = id AND r.key = $2 AND $1 IN ('', name)

-- reasons
SELECT DISTINCT o.reason, text FROM outcome o
    LEFT JOIN reason ON reason.id = o.reason WHERE state > 2 AND state IN (3, 4)

-- of_reason
SELECT seq FROM outcome WHERE state > 2 AND state IN (3, 4)
    AND (reason = $1 OR CAST($1 AS int) IS NULL AND reason IS NULL)

-- failed
WITH w (seq) AS ({rows})
    SELECT r.location, r.lane, r.date, r.seq, o.state, r.payload IS NULL
    FROM w CROSS JOIN record r
        JOIN outcome o ON o.location = r.location AND o.lane = r.lane AND o.seq = r.seq
    WHERE r.seq = w.seq AND o.state IN (3, 4)
    ORDER BY r.seq

-- dismiss
WITH w (location, lane, seq) AS ({rows}) UPDATE outcome SET state = 6
    WHERE (location, lane, seq) IN (SELECT * FROM w)

-- take_back
WITH w (location, lane, seq) AS ({rows}) DELETE FROM outcome
    WHERE (location, lane, seq) IN (SELECT * FROM w)

-- put_back
WITH w (location, lane, date, seq) AS ({rows})
    INSERT INTO queue (location, lane, date, seq, attempts) SELECT location, lane, date, seq, 0
    FROM w

-- late
WITH w (seq) AS ({rows}) SELECT location, lane, payload, late
    FROM w CROSS JOIN record r WHERE r.seq = w.seq AND late IS NOT NULL
