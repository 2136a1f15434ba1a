-- The last start of each gateway that opened the store. The high 32 bits of `job.claim` are the number of a start. Leases of a
-- start that is not here are void when the next gateway opens the store.
CREATE TABLE claimant (
    instance TEXT NOT NULL PRIMARY KEY,
    start INTEGER NOT NULL UNIQUE,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
