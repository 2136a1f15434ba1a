-- The small state of scripts: a value as JSON; or, of a rate, when it was counted last, and for each time before it the
-- milliseconds to the one after it (seven bits in a byte, the lowest first, the highest bit set in all but the last byte).
CREATE TABLE kv (
    key TEXT NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL,
    value TEXT,
    newest INTEGER,
    earlier BLOB,
    CHECK ((value IS NULL) = (newest IS NOT NULL AND earlier IS NOT NULL))
) STRICT;
CREATE INDEX kv_until ON kv (until);

-- What whom was answered, so that who runs again is answered the same.
CREATE TABLE kv_answer (
    origin TEXT NOT NULL PRIMARY KEY,
    step BLOB NOT NULL,
    answer TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX kv_answer_until ON kv_answer (until);

-- How much of both there is, kept by the triggers: counting a million takes too long.
CREATE TABLE kv_total (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    keys INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    answers INTEGER NOT NULL
) STRICT;
INSERT INTO kv_total (one, keys, bytes, answers) VALUES (1, 0, 0, 0);

CREATE TRIGGER kv_more AFTER INSERT ON kv BEGIN
    UPDATE kv_total SET keys = keys + 1, bytes = bytes + length(CAST(new.key AS BLOB))
        + coalesce(length(CAST(new.value AS BLOB)), length(new.earlier));
END;
CREATE TRIGGER kv_other AFTER UPDATE OF value, earlier ON kv BEGIN
    UPDATE kv_total SET bytes = bytes + coalesce(length(CAST(new.value AS BLOB)), length(new.earlier))
        - coalesce(length(CAST(old.value AS BLOB)), length(old.earlier));
END;
CREATE TRIGGER kv_less AFTER DELETE ON kv BEGIN
    UPDATE kv_total SET keys = keys - 1, bytes = bytes - length(CAST(old.key AS BLOB))
        - coalesce(length(CAST(old.value AS BLOB)), length(old.earlier));
END;
CREATE TRIGGER kv_answer_more AFTER INSERT ON kv_answer BEGIN
    UPDATE kv_total SET answers = answers + 1;
END;
CREATE TRIGGER kv_answer_less AFTER DELETE ON kv_answer BEGIN
    UPDATE kv_total SET answers = answers - 1;
END;
