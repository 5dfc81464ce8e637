-- The tables of one application. {s} is its schema. Keys are bytes that the gateway makes (ids may hold NUL and may be longer
-- than an index entry); the data columns are packed rows that statestore encodes.

CREATE TABLE {s}.meta (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    identity uuid NOT NULL,
    created  timestamptz NOT NULL DEFAULT now()
);

-- One row per gateway process. (epoch, commit_number, doubts) is the fence: the first statement of each commit moves it. doubts
-- counts how often the member has asked what became of a commit: a commit from before the answer that comes late misses.
CREATE TABLE {s}.member (
    id            text PRIMARY KEY,
    epoch         bigint NOT NULL,
    commit_number bigint NOT NULL,
    next_number   bigint NOT NULL,
    doubts        bigint NOT NULL DEFAULT 0,
    lease_until   timestamptz NOT NULL,
    host          text NOT NULL,
    pid           bigint NOT NULL,
    address       text NOT NULL,
    events        text NOT NULL,
    started       timestamptz NOT NULL
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- What a renewal moves. Apart from member, so that it never waits for a commit that is on its way.
CREATE TABLE {s}.lease (
    member text PRIMARY KEY,
    until  timestamptz NOT NULL
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Who owns the shards lo <= shard < hi, their source partitions and the lanes. epoch never falls: all epochs are drawn from it.
CREATE TABLE {s}.ownership (
    lo          integer PRIMARY KEY,
    hi          integer NOT NULL,
    member      text,
    epoch       bigint NOT NULL,
    next_number bigint NOT NULL
);
INSERT INTO {s}.ownership (lo, hi, member, epoch, next_number) VALUES (0, 1440, NULL, 0, 1);

-- A row for each time that the store was claimed. The egress cursor in Kafka carries the token of the claim that moved it.
CREATE TABLE {s}.claim (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token  text NOT NULL UNIQUE
);

CREATE TABLE {s}.progress (
    key  bytea PRIMARY KEY,
    data bytea NOT NULL
) WITH (fillfactor = 20);

CREATE TABLE {s}.function_spec (
    key  bytea PRIMARY KEY,
    data bytea NOT NULL
);

-- All states of an address; of the large ones only name, type and time. Rows that were written together stand together and change
-- together: with room for a second version of each in its page, a change touches no index, and the table never outgrows that room.
CREATE TABLE {s}.state (
    key     bytea PRIMARY KEY,
    data    bytea NOT NULL,
    expires bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX state_expires ON {s}.state (expires) WHERE expires > 0;

CREATE TABLE {s}.state_large (
    key   bytea NOT NULL,
    name  bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (key, name)
);

-- The messages of one commit that wait in memory, in one row, or in several when they are many bytes.
CREATE TABLE {s}.pack (
    number bigint NOT NULL,
    part   integer NOT NULL,
    data   bytea NOT NULL,
    PRIMARY KEY (number, part)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- What of a pack is finished.
CREATE TABLE {s}.pack_mark (
    number   bigint PRIMARY KEY,
    finished bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- One row per address with spilled messages. Those with numbers below low are finished. function is what key begins with.
CREATE TABLE {s}.mailbox (
    key      bytea PRIMARY KEY,
    function bytea NOT NULL,
    address  bytea NOT NULL,
    low      bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- Runs of spilled messages of one address. sizes has the number and the size of each.
CREATE TABLE {s}.mail (
    key      bytea NOT NULL,
    first    bigint NOT NULL,
    last     bigint NOT NULL,
    messages bigint NOT NULL,
    bytes    bigint NOT NULL,
    sizes    bytea NOT NULL,
    data     bytea NOT NULL,
    PRIMARY KEY (key, first)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- key is (due, number) in 16 bytes that sort like them.
CREATE TABLE {s}.timer (
    key    bytea PRIMARY KEY,
    number bigint NOT NULL,
    token  bytea,
    data   bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX timer_token ON {s}.timer (token, number) WHERE token IS NOT NULL;

CREATE TABLE {s}.lane (
    egress  bytea NOT NULL,
    slot    integer NOT NULL,
    next    bigint NOT NULL,
    started boolean NOT NULL,
    PRIMARY KEY (egress, slot)
) WITH (fillfactor = 20);

CREATE TABLE {s}.outbox (
    egress  bytea NOT NULL,
    slot    integer NOT NULL,
    first   bigint NOT NULL,
    last    bigint NOT NULL,
    bytes   bigint NOT NULL,
    data    bytea NOT NULL,
    PRIMARY KEY (egress, slot, first)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- Outputs that were set aside.
CREATE TABLE {s}.refusal (
    egress bytea NOT NULL,
    slot   integer NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (egress, slot, number)
);

CREATE TABLE {s}.dead_letter (
    number bigint PRIMARY KEY,
    origin bytea NOT NULL, -- whose bound it counts in
    bytes  bigint NOT NULL,
    data   bytea NOT NULL
);

-- What operators have stopped until they let it go on.
CREATE TABLE {s}.pause (
    key  bytea PRIMARY KEY,
    data bytea NOT NULL
);

-- What operators have done, as far back as it is kept.
CREATE TABLE {s}.act (
    number bigint PRIMARY KEY,
    data   bytea NOT NULL
);

-- Small texts for people, of any member.
CREATE TABLE {s}.note (
    key  bytea PRIMARY KEY,
    at   timestamptz NOT NULL,
    data bytea NOT NULL
);

-- Members that wait for ownership, for people: nothing is decided by it. One that has not said so since until may be gone.
CREATE TABLE {s}.waiting (
    id      text PRIMARY KEY,
    until   timestamptz NOT NULL,
    host    text NOT NULL,
    pid     bigint NOT NULL,
    address text NOT NULL,
    events  text NOT NULL,
    started timestamptz NOT NULL
) WITH (fillfactor = 20);
