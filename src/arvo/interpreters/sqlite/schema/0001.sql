-- Version 1: workflows, deliveries, timers, consumed events (inbox), dead letters, workers.

-- One row for each workflow. The record is JSON, without its journal.
create table workflow (
    id integer primary key,
    subject text not null unique,
    handler text not null,
    version text not null,
    status text not null,
    revision integer not null,
    parent text,
    record blob not null,
    began integer not null,   -- milliseconds since 1970, like every time in this file
    changed integer not null
);
create index workflow_by_status on workflow (status, changed);
create index workflow_by_handler on workflow (handler, status, changed);

-- The journal of a flow: one row for each result that it has received.
create table journal (
    workflow integer not null references workflow (id) on delete cascade,
    position integer not null,
    line blob not null,
    primary key (workflow, position)
) without rowid;

-- The processes that work on this file. A worker owns its deliveries until its lease expires.
create table worker (
    id text primary key,
    namespace text not null,  -- host and PID namespace, in which the pid is unique
    pid integer not null,
    lease integer not null    -- the time at which the lease expires
) without rowid;

-- Messages under way. The id is the order in which they were sent.
create table delivery (
    id integer primary key,
    queue text not null,
    key text,                 -- ordering key: one at a time, in order; null: no order
    destination blob not null,
    event blob not null,
    attempt integer not null,
    due integer not null,
    owner text                -- the worker that has claimed it; null: unclaimed
);
create index delivery_by_key on delivery (key, id) where key is not null;
create index delivery_unowned on delivery (queue, id) where owner is null;
create index delivery_by_owner on delivery (owner) where owner is not null;

create table timer (
    id text primary key,
    due integer not null,
    queue text not null,
    key text not null,
    destination blob not null,
    event blob not null
) without rowid;
create index timer_by_due on timer (due);

-- Consumed events: a digest of handler, source, id and subject.
create table inbox (
    id integer primary key,
    digest blob not null unique,
    at integer not null
);

create table dead_letter (
    id text primary key,
    at text not null,
    number integer not null unique,
    content blob not null
) without rowid;
