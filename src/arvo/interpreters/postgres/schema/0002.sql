-- Version 2: deliveries that came before their time.
insert into arvo.version (number) values (2);
-- True: returned by `defer`: unclaimed, and until it is due it holds back no other of its key.
alter table arvo.delivery add column deferred boolean not null default false;
