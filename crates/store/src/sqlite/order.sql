-- Who goes ahead of its line, so that a long line costs nothing.
CREATE INDEX job_ahead ON job (lane, order_key, id, state)
    WHERE state IN ('waiting', 'running') AND order_key IS NOT NULL AND behind = 0;
