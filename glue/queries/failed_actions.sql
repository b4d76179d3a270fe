-- Which actions did not succeed, from one moment until before another (UTC).
-- parameters: from, to, from, to
-- Every status but a known word of success, so that an unknown word of failure is not missed; and event types that say so.
-- The partitions of those days, and the late rows, which may lie in any partition.
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
  AND (
      NOT regexp_like(
          lower(action_status),
          '^(success|successful|succeeded|ok|allow|allowed|grant|granted|complete|completed|pass|passed|2[0-9][0-9])$'
      )
      OR regexp_like(lower(event_type), '[._-](fail|failed|failure|error|denied|rejected)$')
  )
ORDER BY happened_at, event_id
