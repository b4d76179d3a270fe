-- When, from where and with what result did one user log in.
-- parameters: user
-- `login` and `login.*`; they lie in their own partitions if the stack lists them as audit types, else in `other`.
SELECT DISTINCT
    coalesce(event_time, received_at) AS happened_at,
    event_type,
    action_status,
    ip_address,
    context.user_agent AS user_agent,
    source,
    principal,
    event_id
FROM events
WHERE (audit_type = 'login' OR audit_type LIKE 'login.%' OR audit_type = 'other')
  AND (event_type = 'login' OR event_type LIKE 'login.%')
  AND actor_user_id = ?
ORDER BY happened_at, event_id
