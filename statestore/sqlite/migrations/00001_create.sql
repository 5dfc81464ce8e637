-- +goose Up
-- The tables of one application. Keys are bytes that the gateway makes (ids may hold NUL and may be long); the data columns are
-- packed rows that statestore encodes. Tables keep their rowid: rows of some KiB in the pages of an index of their own (WITHOUT
-- ROWID) took four times the room. Wide columns stand last, so that what is before them is read without them.

PRAGMA application_id = 0x53744761;

CREATE TABLE meta (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    identity TEXT NOT NULL,
    created  TEXT NOT NULL
) STRICT;

-- The identity is a random UUID, version 4.
INSERT INTO meta (one, identity, created)
SELECT 1, substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-4' || substr(h, 14, 3) || '-' || substr('89ab', 1 + abs(random()) % 4, 1) || substr(h, 18, 3) || '-' || substr(h, 21),
       strftime('%Y-%m-%dT%H:%M:%SZ', 'now')
FROM (SELECT lower(hex(randomblob(16))) AS h);

-- One row per gateway process. (epoch, commit_number) is the fence: the first statement of each commit moves it. Times are Unix
-- milliseconds.
CREATE TABLE member (
    id            TEXT PRIMARY KEY,
    epoch         INTEGER NOT NULL,
    commit_number INTEGER NOT NULL,
    next_number   INTEGER NOT NULL,
    lease_until   INTEGER NOT NULL,
    host          TEXT NOT NULL,
    pid           INTEGER NOT NULL,
    address       TEXT NOT NULL,
    events        TEXT NOT NULL,
    started       INTEGER NOT NULL
) STRICT;

-- Who owns the shards lo <= shard < hi, their source partitions and the lanes. epoch never falls: all epochs are drawn from it.
CREATE TABLE ownership (
    lo          INTEGER PRIMARY KEY,
    hi          INTEGER NOT NULL,
    member      TEXT,
    epoch       INTEGER NOT NULL,
    next_number INTEGER NOT NULL
) STRICT;
INSERT INTO ownership (lo, hi, member, epoch, next_number) VALUES (0, 1440, NULL, 0, 1);

-- A row for each time that the store was claimed. The egress cursor in Kafka carries the token of the claim that moved it.
CREATE TABLE claim (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    token  TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE progress (
    key  BLOB NOT NULL UNIQUE,
    data BLOB NOT NULL
) STRICT;

CREATE TABLE function_spec (
    key  BLOB NOT NULL UNIQUE,
    data BLOB NOT NULL
) STRICT;

-- All states of an address; of the large ones only name, type and time.
CREATE TABLE state (
    key     BLOB NOT NULL UNIQUE,
    expires INTEGER NOT NULL,
    data    BLOB NOT NULL
) STRICT;
CREATE INDEX state_expires ON state (expires) WHERE expires > 0;

CREATE TABLE state_large (
    key   BLOB NOT NULL,
    name  BLOB NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (key, name)
) STRICT;

-- The messages of one commit that wait in memory, in one row, or in several when they are many bytes.
CREATE TABLE pack (
    number INTEGER NOT NULL,
    part   INTEGER NOT NULL,
    data   BLOB NOT NULL,
    UNIQUE (number, part)
) STRICT;

-- What of a pack is finished.
CREATE TABLE pack_mark (
    number   INTEGER PRIMARY KEY,
    finished BLOB NOT NULL
) STRICT;

-- One row per address with spilled messages. Those with numbers below low are finished.
CREATE TABLE mailbox (
    key     BLOB NOT NULL UNIQUE,
    low     INTEGER NOT NULL,
    address BLOB NOT NULL
) STRICT;

-- Runs of spilled messages of one address. sizes has the number and the size of each.
CREATE TABLE mail (
    key      BLOB NOT NULL,
    first    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    sizes    BLOB NOT NULL,
    data     BLOB NOT NULL,
    UNIQUE (key, first)
) STRICT;

-- key is (due, number) in 16 bytes that sort like them.
CREATE TABLE timer (
    key    BLOB NOT NULL UNIQUE,
    number INTEGER NOT NULL,
    token  BLOB,
    data   BLOB NOT NULL
) STRICT;
CREATE INDEX timer_token ON timer (token, number) WHERE token IS NOT NULL;

CREATE TABLE lane (
    egress  BLOB NOT NULL,
    slot    INTEGER NOT NULL,
    next    INTEGER NOT NULL,
    started INTEGER NOT NULL,
    UNIQUE (egress, slot)
) STRICT;

CREATE TABLE outbox (
    egress BLOB NOT NULL,
    slot   INTEGER NOT NULL,
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    bytes  INTEGER NOT NULL,
    data   BLOB NOT NULL,
    UNIQUE (egress, slot, first)
) STRICT;

-- Outputs that were set aside.
CREATE TABLE refusal (
    egress BLOB NOT NULL,
    slot   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    UNIQUE (egress, slot, number)
) STRICT;

CREATE TABLE dead_letter (
    number INTEGER PRIMARY KEY,
    origin BLOB NOT NULL, -- whose bound it counts in
    bytes  INTEGER NOT NULL,
    data   BLOB NOT NULL
) STRICT;
CREATE INDEX dead_letter_origin ON dead_letter (origin, bytes); -- to count them without reading them

-- What operators have stopped until they let it go on.
CREATE TABLE pause (
    key  BLOB NOT NULL UNIQUE,
    data BLOB NOT NULL
) STRICT;

-- What operators have done, as far back as it is kept.
CREATE TABLE act (
    number INTEGER PRIMARY KEY,
    data   BLOB NOT NULL
) STRICT;

-- Small texts for people, of any member. at is in Unix milliseconds.
CREATE TABLE note (
    key  BLOB NOT NULL UNIQUE,
    at   INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
