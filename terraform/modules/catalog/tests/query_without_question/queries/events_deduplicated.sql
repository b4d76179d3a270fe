-- Each event once.
SELECT * FROM events
