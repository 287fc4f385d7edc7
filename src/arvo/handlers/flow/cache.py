"""FlowCache: the running flows of recent turns, so that the next turn need not replay."""

from collections import OrderedDict
from typing import Final, final

from attrs import define, field

from arvo.handlers.flow.execution import FlowExecution

# A generator and its frames take some kilobytes.
FLOWS_MAX: Final = 1_000


@final
@define(eq=False)
class FlowCache:
    """Idle flows by subject; the least recently used is evicted.

    The cache only saves time: on a miss, the journal is replayed. A flow leaves the cache for the
    duration of its turn, so that no other turn sees it half-way.
    """

    _flows: OrderedDict[str, FlowExecution] = field(factory=OrderedDict)

    def pop(self, subject: str) -> FlowExecution | None:
        """Remove and return the flow of a subject; None if it is not cached."""
        return self._flows.pop(subject, None)

    def put(self, subject: str, execution: FlowExecution) -> None:
        """Cache a flow for its next turn."""
        self._flows[subject] = execution
        if len(self._flows) > FLOWS_MAX:
            _, oldest = self._flows.popitem(last=False)
            oldest.scheduler.close()

    def clear(self) -> None:
        """Close and remove all flows."""
        while self._flows:
            _, execution = self._flows.popitem()
            execution.scheduler.close()

    def __len__(self) -> int:
        return len(self._flows)
