-- Which events share their event_id with another event, one row each.
SELECT
    event_id, event_type, event_time, received_at, actor_user_id, action_operation, action_status, entity_type, entity_id,
    ip_address, source, request_id, principal, source_ip, api_request_id, late, actor, action, context, details, metadata,
    problems, raw, raw_sha256, audit_type, year, month, day, versions
FROM events_deduplicated
WHERE versions > 1
