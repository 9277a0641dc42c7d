-- records that wait and have an end
SELECT count(*) FROM record r
    JOIN queue q ON q.location IN (r.location, -r.location)
        AND (q.lane, q.date, q.seq) = (r.lane, r.date, r.seq)
    JOIN outcome o ON (o.location, o.lane, o.seq) = (r.location, r.lane, r.seq)

-- places in the queue without their record
SELECT count(*) FROM queue q
    LEFT JOIN record r ON (r.seq, r.lane, r.date) = (q.seq, q.lane, q.date)
        AND q.location IN (r.location, -r.location)
    WHERE r.seq IS NULL

-- ends without their record
SELECT count(*) FROM outcome o
    LEFT JOIN record r ON (r.seq, r.lane, r.location) = (o.seq, o.lane, o.location)
    WHERE r.seq IS NULL
