-- Version 2: the history of each workflow, every event it consumed and produced, in order.
create table history (
    workflow integer not null references workflow (id) on delete cascade,
    position integer not null,
    revision integer not null,
    kind text not null,       -- consumed or produced
    at integer not null,
    event blob not null,
    primary key (workflow, position)
) without rowid;
create index workflow_by_parent on workflow (parent) where parent is not null;
create index history_by_age on history (at);
-- How many lines the history has had, so that nobody has to count them.
alter table workflow add column lines integer not null default 0;
