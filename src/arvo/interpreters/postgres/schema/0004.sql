-- Version 4: what each worker serves, as JSON: its addresses, and their versions.
alter table arvo.worker add column services text not null default '[]';
insert into arvo.version (number) values (4);
