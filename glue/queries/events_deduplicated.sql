-- What is in the audit log, each event once.
-- The first received of the rows with one event_id. The rest of the order decides between rows of one request;
-- raw is left out of it, because every query of the view would then have to read it.
SELECT
    event_id, event_type, event_time, received_at, actor_user_id, action_operation, action_status, entity_type, entity_id,
    ip_address, source, request_id, principal, source_ip, api_request_id, late, actor, action, context, details, metadata,
    problems, raw, audit_type, year, month, day
FROM (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY event_id
            ORDER BY received_at, api_request_id, event_time, event_type, actor_user_id, action_operation, action_status,
                     entity_type, entity_id
        ) AS copy
    FROM events
) AS copies
WHERE copy = 1
