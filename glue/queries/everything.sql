-- What is in the audit log, all of it.
SELECT *
FROM events
