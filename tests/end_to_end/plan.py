"""Plan: which events of which workflows a test sends, in which order and how often."""

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

from attrs import evolve, frozen

from arvo import Event, Stamp, Subject, stamping
from tests.end_to_end.setups import Faults
from tests.end_to_end.system import (
    CALLER,
    SIGNALS,
    Begin,
    Charge,
    Mark,
    charge,
    mark,
    order,
)

# Where an event ends its process: the workflow's function at a signal, the handler of a service,
# or a call of that handler.
Poison: TypeAlias = Literal["signal", "exit in handler", "exit in effect"]
POISONS: Final[Sequence[Poison]] = ("signal", "exit in handler", "exit in effect")
TIME: Final = "2026-01-02T03:04:05.000+00:00"


@frozen(slots=False)
class Run:
    """One workflow: what is sent to it, and what must become of it.

    *cancel_after*: the number of signals before its cancellation; None if it is not cancelled.
    *poison*: where an event ends its process, before the signal *poison_before*. *is_refused*: its
    service raises `SystemExit`. *copies*: how often each event is sent, by its key; otherwise once.
    """

    number: int
    version: str = "1.0.0"
    cancel_after: int | None = None
    poison: Poison | None = None
    poison_before: int = 2
    is_refused: bool = False
    copies: Mapping[str, int] = {}

    @cached_property
    def subject(self) -> str:
        """The subject of the workflow."""
        run_id = f"run-{self.number}"
        return str(Subject.new(order.type, self.version, initiator=CALLER, id=run_id))

    @property
    def poison_id(self) -> str | None:
        """The id of the event that ends its process."""
        return f"poison-{self.number}" if self.poison else None

    def events(self) -> Iterator[tuple[str, Event[Any]]]:
        """Yield each event with its key, in the order of their sends, without copies."""
        begin = Begin(self.number, "raise" if self.is_refused else "")
        subject = self.subject
        yield (
            "begin",
            self._make(
                "begin", lambda: order[self.version].init(begin, source=CALLER, subject=subject)
            ),
        )
        for number in range(1, SIGNALS + 1):
            if self.poison and number == self.poison_before:
                yield "poison", self._poison_event(self.poison)
            if number - 1 == self.cancel_after:
                yield "cancel", self._cancellation()
            yield f"mark-{number}", self._mark(f"mark-{number}", Mark(self.number, number))

    def _mark(self, key: str, data: Mark) -> Event[Any]:
        return self._make(
            key,
            lambda: mark["1.0.0"].accepts(data, source=CALLER, to=order.type, subject=self.subject),
        )

    def _cancellation(self) -> Event[Any]:
        return self._make(
            "cancel",
            lambda: order[self.version].cancel("a test", source=CALLER, subject=self.subject),
        )

    def _poison_event(self, poison: Poison) -> Event[Any]:
        if poison == "signal":
            return self._mark("poison", Mark(self.number, 0, "exit"))
        data = Charge(self.number, poison)
        subject = str(
            Subject.new(charge.type, "1.0.0", initiator=CALLER, id=f"charge-{self.number}")
        )
        return self._make(
            "poison", lambda: charge["1.0.0"].accepts(data, source=CALLER, subject=subject)
        )

    def _make(self, key: str, make: Any) -> Event[Any]:
        # The same id for each copy, also after a send that may have failed.
        with stamping(lambda: Stamp(f"{key}-{self.number}", TIME)):
            event: Event[Any] = make()
            return event


def make_plan(workflows: int, faults: Faults, seed: int) -> Sequence[Run]:
    """Plan workflows by chance; the same for the same arguments."""
    chance = random.Random(seed)  # noqa: S311 - no secret, and the same in each run
    runs = [Run(number) for number in range(workflows)]
    if faults.is_rolling:
        # The first ones keep the old workers busy until the deploy begins.
        late = range(workflows // 3, workflows)
        for number in late:
            runs[number] = evolve(runs[number], version=chance.choice(["1.0.0", "2.0.0"]))
    poisoned = _sample(chance, range(workflows), faults.poison)
    for position, number in enumerate(poisoned, start=seed):
        runs[number] = evolve(
            runs[number],
            poison=POISONS[position % len(POISONS)],
            poison_before=chance.randint(2, SIGNALS),
        )
    rest = [run.number for run in runs if run.poison is None]
    for number in _sample(chance, rest, faults.poison):
        runs[number] = evolve(runs[number], is_refused=True)
    rest = [run.number for run in runs if run.poison is None and not run.is_refused]
    for number in _sample(chance, rest, faults.cancellations):
        runs[number] = evolve(runs[number], cancel_after=chance.randrange(SIGNALS))
    return [_with_copies(run, chance, faults.duplicates) for run in runs]


def _sample(chance: random.Random, numbers: Sequence[int], share: float) -> Sequence[int]:
    """Choose a share of *numbers*: at least one, unless the share is 0."""
    number = max(1, round(len(numbers) * share)) if share else 0
    return chance.sample(numbers, number)


def _with_copies(run: Run, chance: random.Random, share: float) -> Run:
    copies = {
        key: chance.randint(2, 3)
        for key, _ in run.events()
        if chance.random() < share and key != "poison"
    }
    return evolve(run, copies=copies)
