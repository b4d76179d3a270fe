-- How many events of each type happened on each day, from one moment until before another (UTC).
-- parameters: from, to, from, to
-- The partitions of those days, and the late rows, which may lie in any partition. Repeated deliveries count once.
WITH candidates AS (
    SELECT event_id, event_type, event_time, received_at
    FROM events
    WHERE concat(year, '-', month, '-', day)
          BETWEEN date_format(CAST(? AS timestamp), '%Y-%m-%d') AND date_format(CAST(? AS timestamp), '%Y-%m-%d')
    UNION ALL
    SELECT event_id, event_type, event_time, received_at
    FROM events
    WHERE late
)
SELECT
    CAST(coalesce(event_time, received_at) AS date) AS happened_on,
    event_type,
    count(DISTINCT event_id) AS events
FROM candidates
WHERE coalesce(event_time, received_at) >= CAST(? AS timestamp)
  AND coalesce(event_time, received_at) < CAST(? AS timestamp)
GROUP BY CAST(coalesce(event_time, received_at) AS date), event_type
ORDER BY happened_on, event_type
