"""Repetition: finds out that a macrostep has returned to a state that it was in."""

from typing import Any

from arvo.statechart.compiled.behaviour import Edge
from arvo.statechart.execution.macrostep import Macrostep

# A macrostep of fewer microsteps is not watched: it costs less than the watching.
WATCHED_MICROSTEPS_MIN = 32


class Repetition:
    """Compares each microstep with an earlier one, by Brent's algorithm.

    *labels* are the labels of the microsteps since that one, one tuple for each.
    """

    __slots__ = ("assigned", "earlier", "labels", "next_mark")

    def __init__(self) -> None:
        self.earlier: tuple[Any, ...] | None = None
        self.labels: list[tuple[str, ...]] = []
        self.assigned = False  # since the earlier microstep
        self.next_mark = 1

    def is_found(self, macrostep: Macrostep, edges: tuple[Edge, ...], *, raised: bool) -> bool:
        """Return whether the microstep that takes *edges* is to repeat the earlier one.

        Configuration, context, events and history are all that a microstep depends on, so the
        macrostep then repeats all microsteps since without end.
        """
        self.assigned = self.assigned or macrostep.assigned
        # Not the configuration itself: one that no cache holds is made anew each time.
        active = macrostep.configuration.mask, macrostep.configuration.leaves
        queue = tuple(macrostep.internal_queue)
        now = active, macrostep.context, edges, raised, macrostep.records, macrostep.event, queue
        if self.earlier is not None and self._is_same(self.earlier, now):
            return True
        if len(self.labels) + 1 >= self.next_mark:
            self.earlier, self.labels, self.assigned = now, [], False
            self.next_mark *= 2
        self.labels.append(tuple(edge.label for edge in edges))
        return False

    def _is_same(self, earlier: tuple[Any, ...], now: tuple[Any, ...]) -> bool:
        if earlier[0] != now[0]:
            return False
        try:
            # An action may have changed a context in place: then both are one object, and equal.
            if self.assigned and earlier[1] is now[1]:
                hash(now[1])
            return bool(earlier == now)
        except Exception:  # noqa: BLE001 - contexts and events are the user's
            return False

    def at(self, distance: int) -> tuple[str, ...]:
        """Return the labels of a later microstep, *distance* after the one that was found."""
        return self.labels[distance % len(self.labels)]
