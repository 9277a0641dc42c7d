-- add
INSERT INTO tally (location, state, n, first_at, last_at) {rows}
    ON CONFLICT (location, state) DO UPDATE SET n = n + excluded.n,
    first_at = coalesce(min(first_at, excluded.first_at), first_at, excluded.first_at),
    last_at = coalesce(max(last_at, excluded.last_at), last_at, excluded.last_at)

-- pace
INSERT INTO pace (span, sent) {rows} ON CONFLICT (span) DO UPDATE SET sent = sent + excluded.sent

-- spend
INSERT OR REPLACE INTO quota
    (location, day_used, day_ends, window_used, window_ends, day_limit) {rows}
