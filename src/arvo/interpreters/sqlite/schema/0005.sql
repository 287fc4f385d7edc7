-- Version 5: what each worker serves, as JSON: its addresses, and their versions.
alter table worker add column services text not null default '[]';
