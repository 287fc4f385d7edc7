-- Version 13: the acts of operators.
create table if not exists arvo.audit (
    number bigint generated always as identity primary key,  -- by which the oldest are removed
    id text collate "C" not null,
    at bigint not null,                -- milliseconds since 1970
    subject bytea not null,            -- a digest: a subject may have any length
    content bytea not null
);
create index if not exists audit_by_time on arvo.audit (at, id);
create index if not exists audit_by_subject on arvo.audit (subject, at, id);
insert into arvo.version (number) values (13);
