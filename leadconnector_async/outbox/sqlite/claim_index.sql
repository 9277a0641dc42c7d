-- unsettled
SELECT queue.location, queue.lane, queue.seq
    FROM record JOIN queue USING (location, lane, date, seq) WHERE record.seq IN ({rows})

-- add
INSERT INTO claimed (batch, seqs) {rows}

-- remove
DELETE FROM claimed WHERE batch IN ({rows})
