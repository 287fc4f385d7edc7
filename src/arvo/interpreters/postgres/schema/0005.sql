-- Version 5: the results of a step's effects, stored with its delivery until the step is committed.
alter table arvo.delivery add column progress bytea not null default '';
insert into arvo.version (number) values (5);
