-- Version 7: dead letters in order of time, with an index by subject.
alter table arvo.dead_letter
    add column at bigint,                  -- milliseconds since 1970
    add column subject bytea;              -- a digest: a subject may have any length
update arvo.dead_letter set
    at = ceil(extract(epoch from
        (convert_from(content, 'UTF8')::json ->> 'at')::timestamptz) * 1000),
    subject = sha256(convert_to(convert_from(content, 'UTF8')::json -> 'event' ->> 'subject', 'UTF8'));
alter table arvo.dead_letter
    alter column at set not null,
    alter column subject set not null,
    drop column number;
create index dead_letter_by_time on arvo.dead_letter (at, id);
create index dead_letter_by_subject on arvo.dead_letter (subject, at, id);
insert into arvo.version (number) values (7);
