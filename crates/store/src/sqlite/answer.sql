-- What calls were answered that count once, by what is the same whenever such a call comes again.
CREATE TABLE answer (
    id INTEGER PRIMARY KEY,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    answer BLOB NOT NULL,
    at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    UNIQUE (route, key)
) STRICT;
CREATE INDEX answer_until ON answer (until, id, at);
