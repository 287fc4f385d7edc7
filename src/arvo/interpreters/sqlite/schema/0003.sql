-- Version 3: deliveries that came before their time.
-- 1: returned by `defer`: unclaimed, and until it is due it holds back no other of its key.
alter table delivery add column deferred integer not null default 0;
