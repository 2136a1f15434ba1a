-- Releases that were in force, by their content. `turn` rises with each activation.
CREATE TABLE release_kept (
    hash TEXT NOT NULL PRIMARY KEY,
    turn INTEGER NOT NULL UNIQUE,
    first_at INTEGER NOT NULL,
    activated_at INTEGER NOT NULL,
    who TEXT NOT NULL,
    about TEXT NOT NULL
) STRICT;

-- A text that releases are made of, by its SHA-256. Not whole: the process ended while it was written.
CREATE TABLE release_text (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    packed INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    whole INTEGER NOT NULL
) STRICT;

-- Texts stand in pieces, so that a long one never holds up what arrives. Packed ones are deflated (RFC 1951).
CREATE TABLE release_piece (
    text INTEGER NOT NULL REFERENCES release_text (id),
    number INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (text, number)
) STRICT;

CREATE TABLE release_file (
    release TEXT NOT NULL REFERENCES release_kept (hash),
    part TEXT NOT NULL CHECK (part IN ('config', 'script', 'fixture', 'table')),
    name TEXT NOT NULL,
    text INTEGER NOT NULL REFERENCES release_text (id),
    PRIMARY KEY (release, part, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX release_file_text ON release_file (text);

-- The log of changes: a chain of rows, each with the hash of the one before it. `meta` has `changes begin` (the last row
-- that was removed for age) and `changes end` (the last row), each as number and hash.
CREATE TABLE change (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    was TEXT,
    became TEXT,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;

-- No accident changes the log. Who does it on purpose is found by `hookgate release verify`.
CREATE TRIGGER change_is_not_edited BEFORE UPDATE ON change BEGIN
    SELECT RAISE(ABORT, 'the log of changes is only appended to');
END;
CREATE TRIGGER change_is_not_removed BEFORE DELETE ON change
WHEN old.number > coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'changes begin'), 0) BEGIN
    SELECT RAISE(ABORT, 'the log of changes is only appended to');
END;

CREATE VIEW changes AS
SELECT number, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS at, who, what, subject, was, became
FROM change;
