-- When was each principal first and last seen, and how many events and actors did it report.
-- By the server's clock (received_at) and the clients' (event_time). No principal: no API authenticated it.
SELECT
    principal,
    min(received_at) AS first_received_at,
    max(received_at) AS last_received_at,
    min(event_time) AS first_event_time,
    max(event_time) AS last_event_time,
    count(DISTINCT event_id) AS events,
    count(DISTINCT actor_user_id) AS actors
FROM events
GROUP BY principal
ORDER BY last_received_at DESC, principal
