-- Which event ids were used for events that differ.
SELECT
    event_id,
    count(DISTINCT raw) AS different_events,
    min(received_at) AS first_received_at,
    max(received_at) AS last_received_at
FROM events
GROUP BY event_id
HAVING min(raw) <> max(raw)
ORDER BY last_received_at DESC, event_id
