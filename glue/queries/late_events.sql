-- Which events came so late or so early that they lie in the partition of the day they were received.
SELECT DISTINCT
    received_at,
    event_time,
    date_diff('day', event_time, received_at) AS days_late,
    event_type,
    actor_user_id,
    principal,
    source,
    event_id
FROM events
WHERE late
ORDER BY received_at, event_id
