"""Owner: the workflow that a record belongs to."""

from typing import TypeAlias

from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation
from arvo.engine.system.system import System, WorkflowHandler
from arvo.handlers.event_handler import EventHandler

# Who may be asked about a record: a workflow about its own, a system about any of its workflows'.
Owners: TypeAlias = System | WorkflowHandler


def owner(owners: Owners, record: Record) -> WorkflowHandler | ConfigViolation:
    """Find the workflow that a record is of, or say that it is of another one."""
    if isinstance(owners, System):
        found = owners.handler_at(record.handler)
        known = [each.source for each in owners.handlers if not isinstance(each, EventHandler)]
    else:
        found = owners if owners.source == record.handler else None
        known = [owners.source]
    if found is None or isinstance(found, EventHandler):
        expected = f"one of {', '.join(known) or 'none'}"
        issue = Issue("record.handler", expected, short(record.handler))
        return ConfigViolation("the record is of no workflow here", issue)
    return found
