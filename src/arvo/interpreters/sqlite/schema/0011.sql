-- Version 11: workflows by the workflow id in their subject, null where that cannot be shown.
alter table workflow add column workflow_id text;
-- A function of this library, which reads the subject.
update workflow set workflow_id = nullif(arvo_workflow_id(subject), '');
create index workflow_by_workflow_id on workflow (workflow_id) where workflow_id is not null;
