-- Version 4: how many workers died while they processed a delivery.
alter table delivery add column deaths integer not null default 0;
-- 1 while a worker processes a delivery that had a death before.
alter table delivery add column started integer not null default 0;
