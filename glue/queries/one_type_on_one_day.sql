-- What happened of one audit type on one day (UTC).
-- parameters: audit_type, date, audit_type, date
-- The partition of that day, and the late rows, which lie in the partition of the day they were received.
WITH candidates AS (
    SELECT *
    FROM events
    WHERE audit_type = ?
      AND concat(year, '-', month, '-', day) = CAST(CAST(? AS date) AS varchar)
    UNION
    SELECT *
    FROM events
    WHERE audit_type = ?
      AND late
)
SELECT *
FROM candidates
WHERE CAST(coalesce(event_time, received_at) AS date) = CAST(? AS date)
ORDER BY coalesce(event_time, received_at), event_id
