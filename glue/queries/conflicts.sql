-- Which event ids were used for different events, and what each of these says.
-- Events that follow one another with the same event_id conflict; the first received stands first, and `versions` says
-- how many there are. Compare their principals and raw: one client that gave an id twice, two clients that make the same
-- ids, or somebody who answers an event with another. No row: no id was used twice.
SELECT
    event_id,
    versions,
    received_at,
    event_time,
    event_type,
    actor_user_id,
    principal,
    source_ip,
    source,
    raw_sha256,
    raw
FROM conflicting_events
ORDER BY event_id, received_at, raw_sha256
