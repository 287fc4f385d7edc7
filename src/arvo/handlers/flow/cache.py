"""Live: the flows that were under way last, kept warm."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, final

from attrs import define, field

if TYPE_CHECKING:
    from arvo.handlers.flow.execution import Progress

# A generator and its frames take some kilobytes; what has been quiet for long is told again.
LIVE_MAX: Final = 1_000


@final
@define(eq=False)
class Live:
    """Flows at rest, by subject; the one that was used longest ago makes way.

    It only saves time: whoever finds nothing replays the journal. A flow is taken out while it
    moves, so nobody else sees it half-way.
    """

    _kept: "OrderedDict[str, Progress]" = field(factory=OrderedDict)

    def take(self, subject: str) -> "Progress | None":
        """Take out the flow of a subject, if it is there."""
        return self._kept.pop(subject, None)

    def keep(self, subject: str, progress: "Progress") -> None:
        """Keep a flow for its next turn."""
        self._kept[subject] = progress
        if len(self._kept) > LIVE_MAX:
            _, oldest = self._kept.popitem(last=False)
            oldest.track.close()

    def clear(self) -> None:
        """Let go of all: the next turn of each replays its journal."""
        while self._kept:
            _, progress = self._kept.popitem()
            progress.track.close()

    def __len__(self) -> int:
        return len(self._kept)
