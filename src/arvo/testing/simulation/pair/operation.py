"""Operation: a call of the pair that settles a delivery, and the faults that hit it on its way."""

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias, final

from attrs import define, field

from arvo.interpreters.ports.errors import Unavailable
from arvo.testing.simulation.cluster.process import Process
from arvo.testing.simulation.faults.fault import (
    Fault,
    LostAnswer,
    LostRequest,
    Move,
    OutboxCrash,
)

# The subjects of the pages on which a pair stores dead letters.
DEAD_LETTER_PAGES: Final = "(dead letters) "

# The change by which an operation takes effect: a write of its record, a write of results, a
# publication or dead letter, a dead letter alone, or the acknowledgement.
Effect: TypeAlias = Literal["record", "progress", "output", "dead letter", "ack"]


@final
@define(eq=False)
class Operation:
    """A commit, checkpoint, acknowledgement or dead letter, which takes several requests.

    *effect*: the change by which it takes effect; then *apply* is called, once. *subject*: that of
    the record that it writes. Of its *faults*, a lost request or answer hits its first change.
    """

    process: Process
    faults: Sequence[Fault]
    effect: Effect
    apply: Callable[[], None]
    subject: str | None = None
    is_applied: bool = field(default=False, init=False)
    _lost: set[int] = field(factory=set, init=False)

    def on_write(self, subject: str) -> None:
        """Take effect by a write to the memory, if this is the one."""
        match self.effect:
            case "record":
                takes_effect = subject == self.subject
            case "output" | "dead letter":
                takes_effect = subject.startswith(DEAD_LETTER_PAGES)
            case "progress":
                takes_effect = True
            case "ack":
                takes_effect = False
        if takes_effect:
            self.take_effect()

    def on_publish(self) -> None:
        """Take effect by a publication, if the operation writes no record."""
        if self.effect == "output":
            self.take_effect()

    def on_ack(self) -> None:
        """Take effect by the acknowledgement, if nothing else did."""
        if self.effect in ("output", "ack"):
            self.take_effect()

    def take_effect(self) -> None:
        """Report the change to the checker, once."""
        if not self.is_applied:
            self.is_applied = True
            self.apply()

    def lose_request(self) -> None:
        """Raise `Unavailable` before a change, if its request is lost."""
        self._lose(LostRequest, "the request was lost")

    def lose_answer(self) -> None:
        """Raise `Unavailable` after a change, if its answer is lost."""
        self._lose(LostAnswer, "the answer was lost")

    async def crash_after(self, move: Move) -> None:
        """Crash the process if a fault says so."""
        for fault in self.faults:
            if isinstance(fault, OutboxCrash) and fault.move == move:
                await self.process.crash_now(fault.seconds)

    def _lose(self, kind: type[LostRequest | LostAnswer], text: str) -> None:
        for number, fault in enumerate(self.faults):
            if isinstance(fault, kind) and number not in self._lost:
                self._lost.add(number)
                raise Unavailable(text)
