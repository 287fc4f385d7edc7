-- Version 6: which messages are the cancellation of a workflow. A commit of its workflow looks for one.
alter table arvo.delivery add column cancels boolean not null default false;
update arvo.delivery set cancels = true
    where key is not null
        and convert_from(event, 'UTF8')::json ->> 'type' = 'sys.' || queue || '.cancel';
create index delivery_by_cancellation on arvo.delivery (key, id) where cancels;
insert into arvo.version (number) values (6);
