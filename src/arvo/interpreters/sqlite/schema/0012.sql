-- Version 12: the labels of workflows, a line for each between newlines, empty without labels.
alter table workflow add column labels text not null default '';
