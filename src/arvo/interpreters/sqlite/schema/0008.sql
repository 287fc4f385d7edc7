-- Version 8: dead letters in order of time, with an index by subject.
create table dead_letter_8 (
    id text primary key,
    at integer not null,               -- milliseconds since 1970
    subject text not null,             -- of its event
    content blob not null
) without rowid;
insert into dead_letter_8 (id, at, subject, content)
select id,
    cast(strftime('%s', at) as integer) * 1000 + cast(substr(strftime('%f', at), 4) as integer),
    json_extract(cast(content as text), '$.event.subject'),
    content
from dead_letter;
drop table dead_letter;
alter table dead_letter_8 rename to dead_letter;
create index dead_letter_by_time on dead_letter (at, id);
create index dead_letter_by_subject on dead_letter (subject, at, id);
