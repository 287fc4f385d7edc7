-- Version 11: the labels of workflows, a line for each between newlines, empty without labels.
alter table arvo.workflow add column labels text collate "C" not null default '';
insert into arvo.version (number) values (11);
