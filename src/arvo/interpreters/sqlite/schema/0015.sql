-- Version 15: which rows refer to a blob, by its key (see `reference_in`). Few do, and no other row
-- is in these indexes.
create index if not exists delivery_by_blob on delivery (substr(event, 14, 75))
    where substr(event, 1, 13) = x'7b22646174615f726566223a22';
create index if not exists timer_by_blob on timer (substr(event, 14, 75))
    where substr(event, 1, 13) = x'7b22646174615f726566223a22';
create index if not exists history_by_blob on history (substr(event, 14, 75))
    where substr(event, 1, 13) = x'7b22646174615f726566223a22';
create index if not exists history_by_record_blob on history (substr(event, 2, 75))
    where substr(event, 1, 1) = x'a3';
create index if not exists dead_letter_by_blob on dead_letter (substr(content, 14, 75))
    where substr(content, 1, 13) = x'7b22646174615f726566223a22';
create index if not exists workflow_by_blob on workflow (substr(record, 2, 75))
    where substr(record, 1, 1) = x'a3';
create index if not exists record_log_by_blob on record_log (substr(content, 2, 75))
    where substr(content, 1, 1) = x'a3';
-- The store to which the blobs belong.
create table if not exists blob_owner (id text not null);
insert into blob_owner (id)
select lower(hex(randomblob(16))) where not exists (select 1 from blob_owner);
