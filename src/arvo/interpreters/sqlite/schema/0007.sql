-- Version 7: which messages are the cancellation of a workflow. A commit of its workflow looks for one.
alter table delivery add column cancels integer not null default 0;
update delivery set cancels = 1
    where key is not null and json_extract(cast(event as text), '$.type') = 'sys.' || queue || '.cancel';
create index delivery_by_cancellation on delivery (key, id) where cancels;
