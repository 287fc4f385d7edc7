-- Version 9: what the consumed events said, so that another event with the same id is found.
alter table inbox add column content text not null default '';  -- `inbox_digest`, '' if unknown
