-- Version 8: what the consumed events said, so that another event with the same id is found.
alter table arvo.inbox add column content text collate "C";  -- `inbox_digest`, null if unknown
insert into arvo.version (number) values (8);
