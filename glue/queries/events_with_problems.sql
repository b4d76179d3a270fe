-- Which events could not be read in full, and what was wrong with each.
SELECT DISTINCT
    e.received_at,
    e.event_type,
    e.principal,
    e.source,
    p.problem,
    e.event_id
FROM events AS e
CROSS JOIN UNNEST(e.problems) AS p (problem)
ORDER BY received_at, event_id, problem
