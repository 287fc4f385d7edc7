-- Version 16: what effects report, for those who watch their workflows.
create table if not exists report_reader (
    subject text primary key,
    until integer not null             -- milliseconds since 1970; a reader renews it
) without rowid;
create table if not exists report (
    id integer primary key autoincrement,  -- a reader goes on behind the last one it has read
    subject text not null,
    at integer not null,
    content blob not null
);
create index if not exists report_by_subject on report (subject, id);
create index if not exists report_by_time on report (at);
