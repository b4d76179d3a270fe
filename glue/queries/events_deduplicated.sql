-- What is in the audit log, each event once.
-- The first received of the rows with one event_id and the same bytes. Other bytes under the same id are another event:
-- it has a row of its own, and `versions` says how many there are under its id.
-- Rows from before there was raw_sha256 get it here; they have a branch of their own so that raw is read of no others.
SELECT
    event_id, event_type, event_time, received_at, actor_user_id, action_operation, action_status, entity_type, entity_id,
    ip_address, source, request_id, principal, source_ip, api_request_id, late, actor, action, context, details, metadata,
    problems, raw, bytes_sha256 AS raw_sha256, audit_type, year, month, day, versions
FROM (
    SELECT *, count(*) OVER (PARTITION BY event_id) AS versions
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY event_id, bytes_sha256
                ORDER BY received_at, api_request_id, principal, source_ip, audit_type, year, month, day
            ) AS copy
        FROM (
            SELECT *, raw_sha256 AS bytes_sha256
            FROM events
            WHERE raw_sha256 IS NOT NULL
            UNION ALL
            SELECT
                *,
                -- JSON begins with a brace or white space; what begins otherwise is base64 of bytes that are no UTF-8.
                lower(to_hex(sha256(
                    CASE WHEN regexp_like(raw, '^[A-Za-z0-9+/]') THEN from_base64(raw) ELSE to_utf8(raw) END
                ))) AS bytes_sha256
            FROM events
            WHERE raw_sha256 IS NULL
        ) AS hashed
    ) AS copies
    WHERE copy = 1
) AS counted
