-- Version 15: what effects report, for those who watch their workflows. A crash may empty the tables.
create unlogged table if not exists arvo.report_reader (
    subject bytea primary key,         -- a digest: a subject may have any length
    until timestamptz not null         -- by the server's clock; a reader renews it
);
create unlogged table if not exists arvo.report (
    id bigint generated always as identity primary key,  -- a reader goes on behind the last one it has read
    subject bytea not null,
    at timestamptz not null default now(),
    content bytea not null
);
create index if not exists report_by_subject on arvo.report (subject, id);
create index if not exists report_by_time on arvo.report (at);
insert into arvo.version (number) values (15);
