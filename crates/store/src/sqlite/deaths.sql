-- How often a process died while a job was in work. What such a job did not survive alone, it is not tried again for ever.
ALTER TABLE job ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;

-- Suspects are given out alone, so they are not among those that are due.
DROP INDEX job_due;
CREATE INDEX job_due ON job (lane, due, id, state)
    WHERE state IN ('waiting', 'running') AND behind = 0 AND deaths = 0;
CREATE INDEX job_suspect ON job (lane, due, id, state)
    WHERE state IN ('waiting', 'running') AND behind = 0 AND deaths > 0;
