-- Version 3: how many workers died while they processed a delivery.
alter table arvo.delivery add column deaths integer not null default 0;
-- True while a worker processes a delivery that had a death before.
alter table arvo.delivery add column started boolean not null default false;
insert into arvo.version (number) values (3);
