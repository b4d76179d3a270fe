-- What happened to one entity, in order, with each field that changed.
-- parameters: entity_type, entity_id, entity_type, entity_id
-- One row a changed field; an event without changes has one row. DISTINCT, because a delivery may repeat an event.
SELECT DISTINCT
    coalesce(e.event_time, e.received_at) AS happened_at,
    e.actor_user_id,
    e.principal,
    e.event_type,
    e.action_operation,
    e.action_status,
    e.details.change_type AS change_type,
    c.field,
    c.old_value,
    c.new_value,
    e.event_id,
    c.change_number
FROM events AS e
LEFT JOIN UNNEST(e.details.changes) WITH ORDINALITY AS c (field, old_value, new_value, change_number) ON TRUE
WHERE (e.entity_type = ? AND e.entity_id = ?)
   OR (e.details.entity_type = ? AND e.details.entity_id = ?)
ORDER BY happened_at, event_id, change_number
