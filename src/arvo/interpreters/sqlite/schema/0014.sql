-- Version 14: the acts of operators.
create table if not exists audit (
    number integer primary key,        -- by which the oldest are removed
    id text not null,
    at integer not null,
    subject text not null,
    content blob not null
);
create index if not exists audit_by_time on audit (at, id);
create index if not exists audit_by_subject on audit (subject, at, id);
