-- location
--     The number of a location, by its name.
SELECT id FROM location WHERE name = ?

-- totals
SELECT name, state, n FROM tally JOIN location ON id = location
    WHERE n <> 0 ORDER BY id

-- moments
SELECT min(first_at), max(last_at) FROM tally

-- places
--     The first so many that have a state and a reason: number, source and line.
SELECT seq, coalesce(name, ''), coalesce(line, 0)
    FROM outcome LEFT JOIN origin USING (seq) LEFT JOIN source ON source.id = origin.source
    WHERE state > 2 AND state = ? AND reason IS ? ORDER BY seq LIMIT ?

-- quotas
SELECT name, day_used, day_ends, window_used, window_ends, day_limit
    FROM quota JOIN location ON location.id = location

-- forms
SELECT DISTINCT form FROM (
        SELECT DISTINCT source FROM outcome LEFT JOIN origin USING (seq)
        WHERE state > 2 AND state < 5)
    LEFT JOIN source ON source.id = source

-- by_line
--     Records of a source ('' for any), named whole or by its end, and a line.
SELECT DISTINCT seq FROM (SELECT source, line, seq FROM origin
            UNION ALL SELECT source, line, seq FROM copy) AS place
        JOIN source ON source.id = place.source
    WHERE line = $2 AND ($1 IN ('', name) OR substr(name, -length($1) - 1) = '/' || $1)
    ORDER BY seq

-- by_text
--     Records whose body, or what it lacks, holds a JSON string: a pattern, whatever case.
SELECT seq FROM record
    WHERE coalesce(CAST(payload AS TEXT), '') || coalesce(late, '') LIKE ? ESCAPE '\'
    ORDER BY date, seq

-- origin
--     Joins the source of a record r.
LEFT JOIN origin ON origin.seq = r.seq
    LEFT JOIN source ON source.id = origin.source

-- positions
SELECT name, line FROM (
        SELECT 0 AS place, seq, source, line FROM origin
        UNION ALL SELECT 1, seq, source, line FROM copy)
    JOIN source ON source.id = source WHERE seq = ? ORDER BY place, name, line

-- trail
SELECT at, what, trace FROM trail WHERE seq = ? ORDER BY rowid

-- owner
--     Who owned a location at a time.
SELECT worker FROM owner WHERE ? >= 0 AND at <= ? ORDER BY at DESC LIMIT 1

-- failed
SELECT seq FROM outcome LEFT JOIN origin USING (seq)
    WHERE state > 2 AND state < 5 ORDER BY source, line, seq

-- failed_pages
SELECT r.seq, {form}, o.state, reason.text, o.detail,
        coalesce(source.name, ''), source.form, coalesce(line, 0), late
    FROM ({rows}) AS wanted CROSS JOIN record r ON r.seq = column1
        CROSS JOIN outcome o USING (location, lane, seq)
        JOIN location ON location.id = r.location
        LEFT JOIN reason ON reason.id = o.reason
        LEFT JOIN origin ON origin.seq = r.seq LEFT JOIN source ON source.id = origin.source
        {shape}
    WHERE o.state > 2 AND o.state < 5

-- claimed
SELECT name FROM record JOIN queue USING (location, lane, date, seq)
    JOIN location ON location.id = record.location WHERE record.seq IN ({rows})

-- records
SELECT seq, location, date, payload FROM record ORDER BY seq

-- ends
SELECT seq, state, state = 2 AND reason IS NOT NULL FROM outcome

-- said
SELECT form, raw, NULL, NULL, x'', '' FROM origin
    LEFT JOIN source ON source.id = origin.source WHERE seq = ?
