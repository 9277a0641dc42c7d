-- location
SELECT id FROM location WHERE name = ?

-- totals
SELECT name, state, n FROM tally JOIN location ON id = location
    WHERE n <> 0 ORDER BY id

-- moments
SELECT min(first_at), max(last_at) FROM tally

-- places
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
SELECT DISTINCT seq FROM (SELECT source, line, seq FROM origin
            UNION ALL SELECT source, line, seq FROM copy) AS place
        JOIN source ON source.id = place.source
    WHERE line = $2 AND ($1 IN ('', name) OR substr(name, -length($1) - 1) = '/' || $1)
    ORDER BY seq

-- by_text
SELECT seq FROM record
    WHERE coalesce(CAST(payload AS TEXT), '') || coalesce(late, '') LIKE ? ESCAPE '\'
    ORDER BY date, seq

-- origin
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
SELECT worker FROM owner WHERE ? >= 0 AND at <= ? ORDER BY at DESC LIMIT 1
