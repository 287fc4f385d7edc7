-- Version 12: what dead letters are grouped by: cause, handler ('' for none), and type of the event.
-- They are '' in rows of an earlier version until `arvo upgrade`, or a worker, has read the contents.
alter table arvo.dead_letter
    add column if not exists cause text collate "C" not null default '',
    add column if not exists handler text collate "C" not null default '',
    add column if not exists type text collate "C" not null default '';
create index if not exists dead_letter_by_cause on arvo.dead_letter (cause, at, id);
insert into arvo.version (number) values (12);
