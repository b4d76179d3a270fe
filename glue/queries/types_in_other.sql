-- Which event types have no partition of their own, and how many events has each.
SELECT
    event_type,
    count(DISTINCT event_id) AS events,
    max(received_at) AS last_received_at
FROM events
WHERE audit_type = 'other'
GROUP BY event_type
ORDER BY events DESC, event_type
