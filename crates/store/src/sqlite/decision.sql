-- What is remembered of decisions. The record is JSON and its words are those of the API; the columns beside it are what
-- lists are filtered by.
CREATE TABLE decision (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    route TEXT NOT NULL,
    outcome TEXT NOT NULL,
    record TEXT NOT NULL,
    -- All that it is found by, one a line.
    handles TEXT NOT NULL
) STRICT;
CREATE INDEX decision_at ON decision (at);
-- All that a list needs to find its rows, without reading others.
CREATE INDEX decision_any ON decision (id, at);
CREATE INDEX decision_route ON decision (route, id, at);
CREATE INDEX decision_outcome ON decision (outcome, id, at);
CREATE INDEX decision_both ON decision (route, outcome, id, at);

-- Its own id, ids of the provider, the user it was about.
CREATE TABLE decision_handle (
    handle TEXT NOT NULL,
    decision INTEGER NOT NULL,
    PRIMARY KEY (handle, decision)
) STRICT, WITHOUT ROWID;

-- What a route with `capture` keeps of a call, for a time of its own.
CREATE TABLE capture (
    decision INTEGER PRIMARY KEY REFERENCES decision (id),
    until INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX capture_until ON capture (until);
