"""Gauges: how much a backend holds, and how busy the workers of this process are."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, final
from weakref import WeakSet

from attrs import define, field
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from arvo.interpreters.delivery.tasks import supervise
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.results import PAGE_MAX, Depth
from arvo.interpreters.runtime.client import Client
from arvo.telemetry.conventions import names

# How often the backend is asked.
ASK_SECONDS: Final = 15.0
# Dead letters that are counted: more is an alarm in any case.
DEAD_LETTERS_MAX: Final = 1_000


@final
@define(eq=False)
class Gauges:
    """Asks the backend of a *client* for its depth and its dead letters, from `start` to `stop`.

    *slots* returns the deliveries in progress and the most that there may be, for each queue.
    *asks*: False where another process asks the backend.
    """

    client: Client
    slots: Callable[[], Mapping[str, tuple[int, int]]]
    asks: bool = True
    ask_seconds: float = ASK_SECONDS
    depth: Depth | None = field(default=None, init=False)
    dead_letters: int | None = field(default=None, init=False)
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)

    def start(self) -> None:
        """Ask now, and again and again."""
        if self.asks:
            work = self._ask_repeatedly()
            self._task = supervise(work, name="arvo gauges", on_failure=lambda _: None)

    async def stop(self) -> None:
        """Ask no more; what was asked is no longer true."""
        self.depth = self.dead_letters = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def ask(self) -> None:
        """Ask the backend once."""
        self.depth = await self.client.depth()
        number, last = 0, None
        while page := await self.client.dead_letters(after=last):
            number, last = number + len(page), page[-1]
            if len(page) < PAGE_MAX or number >= DEAD_LETTERS_MAX:
                break
        self.dead_letters = number

    async def _ask_repeatedly(self) -> None:
        while True:
            # An outage leaves a gap in the figures.
            self.depth = self.dead_letters = None
            with suppress(Unavailable, Corrupt):
                await self.ask()
            await asyncio.sleep(self.ask_seconds)


@final
@define(eq=False)
class GaugeInstruments:
    """The instruments of one *meter*, for all that are *sources* in this process."""

    meter: Meter
    sources: "WeakSet[Gauges]" = field(factory=WeakSet, init=False)

    def __attrs_post_init__(self) -> None:
        meter = self.meter
        meter.create_observable_gauge(
            names.QUEUE_DEPTH, [self._depth], "{delivery}", "Messages that the backend holds."
        )
        meter.create_observable_up_down_counter(
            names.DEAD_LETTERS,
            [self._dead_letters],
            "{letter}",
            f"Dead letters of the backend, at most {DEAD_LETTERS_MAX}.",
        )
        meter.create_observable_gauge(
            names.WORKER_SLOTS,
            [self._slots],
            "{slot}",
            "Deliveries that a handler of this process processes by themselves, and may in all.",
        )

    def _depth(self, _: CallbackOptions) -> Iterable[Observation]:
        for depth in [source.depth for source in self.sources]:
            if depth is not None:
                for state in ("ready", "taken", "delayed", "timers"):
                    yield Observation(getattr(depth, state), {names.STATE: state})

    def _dead_letters(self, _: CallbackOptions) -> Iterable[Observation]:
        for number in [source.dead_letters for source in self.sources]:
            if number is not None:
                yield Observation(number)

    def _slots(self, _: CallbackOptions) -> Iterable[Observation]:
        for slots in [source.slots() for source in self.sources]:
            for queue, (used, size) in slots.items():
                named: dict[str, Any] = {names.DESTINATION: queue}
                yield Observation(used, {**named, names.STATE: "used"})
                yield Observation(max(0, size - used), {**named, names.STATE: "free"})
