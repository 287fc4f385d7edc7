-- Version 9: large records as logs; the journal of a flow is a part of its record again.
-- The record of a workflow is in its row, or empty where the record is large. Then the log has it:
-- the whole record as of the first revision, and the change of each turn since. As the history, it
-- has no foreign key: the statement that deletes a workflow deletes its rows here.
create table arvo.record_log (
    workflow bigint not null,
    revision bigint not null,
    content bytea not null,
    primary key (workflow, revision)
);
-- How many bytes of changes may follow until the record is written whole again; 0: it has no log.
alter table arvo.workflow add column room bigint not null default 0;
-- As bytes: the record is an object without the key, and each line of the journal is JSON.
update arvo.workflow set record = substring(record for length(record) - 1) || ',"journal":[' || coalesce((
        select string_agg(line, ',' order by position) from arvo.journal
        where journal.workflow = workflow.id
    ), '') || ']}';
drop table arvo.journal;
insert into arvo.version (number) values (9);
