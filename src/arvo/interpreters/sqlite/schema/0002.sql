-- Version 2: the history of each workflow, with every event it consumed and produced, in order.
create table history (
    workflow integer not null references workflow (id) on delete cascade,
    position integer not null,
    revision integer not null,
    kind text not null,       -- consumed, produced or replaced
    at integer not null,
    event blob not null,      -- the event; for a replaced entry the record
    primary key (workflow, position)
) without rowid;
create index workflow_by_parent on workflow (parent) where parent is not null;
create index history_by_age on history (at);
-- The number of history entries ever written: the position of the next one, without a count.
alter table workflow add column history_length integer not null default 0;
