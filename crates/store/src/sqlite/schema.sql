-- What hookgate keeps. All times are milliseconds since 1970; the views `events` and `jobs` show them as dates.
-- Look at it while the gateway runs with: sqlite3 'file:hookgate.db?mode=ro'

-- Bookmarks (`bookmark NAME`) and what the store must know about itself.
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What came. Narrow, so that a list of a million is quick to look through: the texts are in `body`.
CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    type TEXT NOT NULL,
    published INTEGER,
    received INTEGER NOT NULL,
    flags TEXT NOT NULL,
    problem TEXT
) STRICT;

CREATE TABLE body (
    event INTEGER PRIMARY KEY REFERENCES event (id),
    envelope TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- Which keys were there, kept longer than the events, so that what comes again is known.
CREATE TABLE seen (
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    event INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    PRIMARY KEY (route, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE lane (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    event INTEGER NOT NULL REFERENCES event (id),
    parent INTEGER,
    kind TEXT NOT NULL CHECK (kind IN ('rule', 'action')),
    lane INTEGER NOT NULL REFERENCES lane (id),
    name TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'gathered', 'done', 'dead', 'suppressed')),
    -- While it waits: when it is due. While it runs: when its lease ends.
    due INTEGER NOT NULL,
    -- 1 while another job of its line (the same lane and order_key) has to end first.
    behind INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    -- Which claim it was given out with last, and when.
    claim INTEGER NOT NULL,
    claimed INTEGER NOT NULL,
    replay INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    doubt INTEGER NOT NULL,
    created INTEGER NOT NULL,
    order_key TEXT,
    order_number INTEGER,
    digest_key TEXT,
    -- Until when others may join a digest that this one leads.
    digest_until INTEGER,
    -- The job that this one goes out with.
    leader INTEGER,
    note TEXT,
    body BLOB NOT NULL
) STRICT;

-- Who is next. Those behind others of their line are not in it, so that a long line costs nothing.
CREATE INDEX job_due ON job (lane, due, id, state) WHERE state IN ('waiting', 'running') AND behind = 0;
CREATE INDEX job_line ON job (lane, order_key, order_number, id, behind, state)
    WHERE state IN ('waiting', 'running') AND order_key IS NOT NULL;
-- All that lists and counts need to know of a job, without its row.
CREATE INDEX job_event ON job (event, state, lane);
CREATE INDEX job_dead ON job (event, lane) WHERE state = 'dead';
CREATE INDEX job_digest ON job (lane, digest_key) WHERE state = 'waiting' AND digest_until IS NOT NULL;
CREATE INDEX job_leader ON job (leader) WHERE leader IS NOT NULL;

CREATE TABLE attempt (
    job INTEGER NOT NULL REFERENCES job (id),
    claim INTEGER NOT NULL,
    number INTEGER NOT NULL,
    started INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    result TEXT NOT NULL,
    status INTEGER,
    detail TEXT NOT NULL,
    PRIMARY KEY (job, claim)
) STRICT, WITHOUT ROWID;

CREATE TABLE once (
    key TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIEW events AS
SELECT event.id, route, key, type,
    strftime('%Y-%m-%dT%H:%M:%fZ', published / 1000.0, 'unixepoch') AS published,
    strftime('%Y-%m-%dT%H:%M:%fZ', received / 1000.0, 'unixepoch') AS received,
    flags, problem, envelope, CAST(body AS TEXT) AS body
FROM event JOIN body ON body.event = event.id;

CREATE VIEW jobs AS
SELECT job.id, event, parent, kind, lane.name AS lane, job.name, key, state,
    strftime('%Y-%m-%dT%H:%M:%fZ', due / 1000.0, 'unixepoch') AS due,
    attempts, replay, doubt,
    strftime('%Y-%m-%dT%H:%M:%fZ', created / 1000.0, 'unixepoch') AS created,
    order_key, digest_key, leader, note, CAST(body AS TEXT) AS body
FROM job JOIN lane ON lane.id = job.lane;
