"""Target: the workflow that a schedule begins, and the payloads for it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, final

from attrs import frozen

from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT, VersionedWorkflow
from arvo.core.violations.issue import Issues


@final
@frozen
class Target:
    """What a schedule begins: a *workflow*, with the payload that *make* returns for a time."""

    workflow: VersionedWorkflow[Any, Any]
    make: Callable[[datetime], Any]

    def write(self, payload: object) -> Any | Issues:
        """Return a payload as JSON, without the key that names the parent."""
        json = self.workflow.accepted.write(payload, extra={PARENT_SUBJECT: None}, path="payload")
        if isinstance(json, Issues):
            return json
        return {name: value for name, value in json.items() if name != PARENT_SUBJECT}

    def check(self, payload: object) -> Issues | None:
        """Return why a payload, as JSON, is none that the workflow accepts; None if it is one."""
        whole = {**payload, PARENT_SUBJECT: None} if isinstance(payload, Mapping) else payload
        read = self.workflow.accepted.read(whole, "plan.payload")
        return read if isinstance(read, Issues) else None
