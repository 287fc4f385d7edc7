-- Version 13: what dead letters are grouped by: cause, handler ('' for none), and type of the event.
create table dead_letter_13 (
    id text primary key,
    at integer not null,
    subject text not null,
    cause text not null,
    handler text not null,
    type text not null,
    content blob not null              -- the last one: up to 1 MiB, which a filter need not read
) without rowid;
-- Of the content, by a function of this library.
insert into dead_letter_13 (id, at, subject, cause, handler, type, content)
select id, at, subject, arvo_dead_letter(content, 0), arvo_dead_letter(content, 1),
    arvo_dead_letter(content, 2), content
from dead_letter;
drop table dead_letter;
alter table dead_letter_13 rename to dead_letter;
create index dead_letter_by_time on dead_letter (at, id);
create index dead_letter_by_subject on dead_letter (subject, at, id);
-- With all that a count of groups reads.
create index dead_letter_by_group on dead_letter (cause, handler, type, at);
