-- When was each actor first and last seen, and which principal reported it.
-- By the server's clock (received_at) and the clients' (event_time). No principal: no API authenticated it.
SELECT
    actor_user_id,
    principal,
    min(received_at) AS first_received_at,
    max(received_at) AS last_received_at,
    min(event_time) AS first_event_time,
    max(event_time) AS last_event_time,
    count(DISTINCT event_id) AS events
FROM events
GROUP BY actor_user_id, principal
ORDER BY actor_user_id, principal
