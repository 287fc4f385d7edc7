-- What arvo keeps in a file, version 1: records, what is under way, timers, inbox, dead letters.

-- One row for each workflow. The record without its journal, as JSON.
create table workflow (
    id integer primary key,
    subject text not null unique,
    handler text not null,
    version text not null,
    status text not null,
    revision integer not null,
    parent text,
    record blob not null,
    began integer not null,   -- milliseconds since 1970, as all times here
    changed integer not null
);
create index workflow_by_status on workflow (status, changed);
create index workflow_by_handler on workflow (handler, status, changed);

-- What a flow was told, line by line.
create table journal (
    workflow integer not null references workflow (id) on delete cascade,
    position integer not null,
    line blob not null,
    primary key (workflow, position)
) without rowid;

-- Processes that work on this file. A delivery belongs to one as long as its lease runs.
create table worker (
    id text primary key,
    place text not null,      -- host and process namespace: where the pid means something
    pid integer not null,
    lease integer not null
) without rowid;

-- Events on their way. The id is the order in which they came.
create table delivery (
    id integer primary key,
    lane text not null,
    key text,                 -- one at a time for each, in order; null: no order
    destination blob not null,
    event blob not null,
    attempt integer not null,
    due integer not null,
    owner text                -- the worker that has it, null: nobody
);
create index delivery_by_key on delivery (key, id) where key is not null;
create index delivery_unowned on delivery (lane, id) where owner is null;
create index delivery_by_owner on delivery (owner) where owner is not null;

create table timer (
    id text primary key,
    due integer not null,
    lane text not null,
    key text not null,
    destination blob not null,
    event blob not null
) without rowid;
create index timer_by_due on timer (due);

-- Which event a handler has consumed: a digest of handler, source, id and subject.
create table inbox (
    id integer primary key,
    digest blob not null unique,
    at integer not null
);

create table letter (
    id text primary key,
    at text not null,
    number integer not null unique,
    letter blob not null
) without rowid;
