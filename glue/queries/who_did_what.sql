-- Who did what, from one moment until before another (UTC).
-- parameters: from, to, from, to
-- The partitions of those days, and the late rows, which may lie in any partition. An event whose time cannot be
-- a timestamp counts at its receipt. DISTINCT, because a delivery may repeat an event.
WITH candidates AS (
    SELECT event_id, event_type, event_time, received_at, actor_user_id, principal, action_operation, action_status,
           entity_type, entity_id, ip_address, source
    FROM events
    WHERE concat(year, '-', month, '-', day)
          BETWEEN date_format(CAST(? AS timestamp), '%Y-%m-%d') AND date_format(CAST(? AS timestamp), '%Y-%m-%d')
    UNION ALL
    SELECT event_id, event_type, event_time, received_at, actor_user_id, principal, action_operation, action_status,
           entity_type, entity_id, ip_address, source
    FROM events
    WHERE late
)
SELECT DISTINCT
    coalesce(event_time, received_at) AS happened_at,
    actor_user_id,
    principal,
    event_type,
    action_operation,
    action_status,
    entity_type,
    entity_id,
    ip_address,
    source,
    event_id
FROM candidates
WHERE coalesce(event_time, received_at) >= CAST(? AS timestamp)
  AND coalesce(event_time, received_at) < CAST(? AS timestamp)
ORDER BY happened_at, event_id
