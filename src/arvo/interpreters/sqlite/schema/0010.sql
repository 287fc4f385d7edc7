-- Version 10: large records as logs; the journal of a flow is a part of its record again.
-- The record of a workflow is in its row, or empty where the record is large. Then the log has it:
-- the whole record as of the first revision, and the change of each turn since.
create table record_log (
    workflow integer not null references workflow (id) on delete cascade,
    revision integer not null,
    content blob not null,
    primary key (workflow, revision)
) without rowid;
-- How many bytes of changes may follow until the record is written whole again; 0: it has no log.
alter table workflow add column room integer not null default 0;
-- As text: the record is an object without the key, and each line of the journal is JSON.
update workflow set record = cast(
    substr(cast(record as text), 1, length(cast(record as text)) - 1) || ',"journal":[' || coalesce((
        select group_concat(line, ',') from (
            select cast(line as text) as line from journal
            where journal.workflow = workflow.id order by position
        )
    ), '') || ']}' as blob);
drop table journal;
-- Whether a key is free depends on who owns its deliveries, of which there may be thousands.
drop index delivery_by_key;
create index delivery_by_key on delivery (key, owner, id) where key is not null;
