-- Version 14: which rows refer to a blob, by its key (see `reference_in`). Few do, and no other row
-- is in these indexes.
create index if not exists delivery_by_blob on arvo.delivery (substring(event from 14 for 75))
    where substring(event from 1 for 13) = '\x7b22646174615f726566223a22'::bytea;
create index if not exists timer_by_blob on arvo.timer (substring(event from 14 for 75))
    where substring(event from 1 for 13) = '\x7b22646174615f726566223a22'::bytea;
create index if not exists history_by_blob on arvo.history (substring(event from 14 for 75))
    where substring(event from 1 for 13) = '\x7b22646174615f726566223a22'::bytea;
create index if not exists history_by_record_blob on arvo.history (substring(event from 2 for 75))
    where substring(event from 1 for 1) = '\xa3'::bytea;
create index if not exists dead_letter_by_blob on arvo.dead_letter (substring(content from 14 for 75))
    where substring(content from 1 for 13) = '\x7b22646174615f726566223a22'::bytea;
create index if not exists workflow_by_blob on arvo.workflow (substring(record from 2 for 75))
    where substring(record from 1 for 1) = '\xa3'::bytea;
create index if not exists record_log_by_blob on arvo.record_log (substring(content from 2 for 75))
    where substring(content from 1 for 1) = '\xa3'::bytea;
-- The store to which the blobs belong.
create table if not exists arvo.blob_owner (id text not null);
insert into arvo.blob_owner (id)
select gen_random_uuid()::text where not exists (select from arvo.blob_owner);
insert into arvo.version (number) values (14);
