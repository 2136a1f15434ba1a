-- When a job came to its end: records are kept from then on. Of dead letters of before it is taken from their tries.
ALTER TABLE job ADD COLUMN ended INTEGER;
UPDATE job SET ended = coalesce(
    (SELECT max(started + took_ms) FROM attempt WHERE attempt.job = job.id),
    CAST(strftime('%s', 'now') AS INTEGER) * 1000)
WHERE state = 'dead';

-- What is old, whatever number it has: a clock that was wrong for a while puts numbers and times out of step.
CREATE INDEX event_received ON event (received, id);
