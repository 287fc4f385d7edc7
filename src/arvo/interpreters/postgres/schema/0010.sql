-- Version 10: workflows by the workflow id in their subject, null where that cannot be shown. It is
-- also null in rows of an earlier version until `arvo upgrade`, or a worker, has read the subjects.
alter table arvo.workflow add column workflow_id text collate "C";
create index workflow_by_workflow_id on arvo.workflow (workflow_id) where workflow_id is not null;
insert into arvo.version (number) values (10);
