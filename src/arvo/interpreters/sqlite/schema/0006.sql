-- Version 6: the results of a step's effects, stored with its delivery until the step is committed.
alter table delivery add column progress blob not null default x'';
