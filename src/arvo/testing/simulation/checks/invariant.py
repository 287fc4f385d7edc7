"""Invariant: conditions on the simulated world, and the promises that a run broke."""

from collections.abc import Callable
from typing import Literal, TypeAlias, final

from attrs import frozen

from arvo.printable import printable_lines
from arvo.testing.simulation.checks.world import World

Invariant: TypeAlias = Callable[[World], bool | None]


@final
@frozen
class Check:
    """An invariant, *when* it must hold, and the *name* that a failure reports."""

    when: Literal["always", "eventually", "sometimes"]
    invariant: Invariant
    name: str

    def holds(self, world: World) -> bool:
        """Return False if the invariant returns False or raises AssertionError."""
        try:
            return self.invariant(world) is not False
        except AssertionError:
            return False


def always(invariant: Invariant, name: str | None = None) -> Check:
    """Require that *invariant* holds after every change, in every run.

    *invariant* takes the `World`; it returns a bool or asserts. *name* is the name that a failure
    reports, by default that of the function.
    """
    return Check("always", invariant, name or _name(invariant))


def eventually(invariant: Invariant, name: str | None = None) -> Check:
    """Require that *invariant* holds at the end of every run, when the system is idle."""
    return Check("eventually", invariant, name or _name(invariant))


def sometimes(invariant: Invariant, name: str | None = None) -> Check:
    """Require that *invariant* holds at some moment of some run.

    It proves that the search reaches the situations that a test is about.
    """
    return Check("sometimes", invariant, name or _name(invariant))


def _name(invariant: Invariant) -> str:
    return getattr(invariant, "__name__", repr(invariant))


@final
@frozen
class InvariantViolated:
    """A promise that a run broke, and the *problem*.

    *law* is the number of a delivery promise (`I1` to `I12`), or the name of an invariant.
    """

    law: str
    problem: str

    def __str__(self) -> str:
        return printable_lines(f"{self.law}: {self.problem}")
