"""Report: how much a check of the laws has tried, and the error if that is nothing."""

from collections.abc import Iterable, Mapping
from textwrap import indent
from typing import Final, final

from attrs import Factory, frozen

# Fewer examples say little about a law; a budget of fewer examples lowers the number.
EXAMPLES_MIN: Final = 50


@final
@frozen(kw_only=True)
class CheckReport:
    """What `check_handler` or `check_workflow` has tried, without finding a violation.

    *tried*: the number of different events, or of histories of a workflow. *discarded*: the draws
    that gave none. *handled*: the events on which the handler returned commands, or the steps that
    the workflow took. *laws* maps the name of each law to the number of cases in which it had
    something to check. *unchecked*: what was not checked, and why.
    """

    tried: int
    discarded: int
    handled: int
    laws: Mapping[str, int]
    unchecked: tuple[str, ...] = Factory(tuple)

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {number}" for name, number in self.laws.items())
        lines = [
            f"tried {self.tried}, handled {self.handled}, discarded {self.discarded}",
            f"cases of each law: {counts}",
            *(f"not checked: {reason}" for reason in self.unchecked),
        ]
        return "\n".join(lines)


class NotChecked(AssertionError):
    """A check that has tried nothing, or too little, to tell whether the laws hold."""

    def __init__(self, subject: str, problem: str, details: Iterable[str], remedy: str) -> None:
        body = indent("\n".join(details), "    ")
        body = f"\n\n{body}" if body else ""
        super().__init__(f"{subject} was not checked: {problem}{body}\n\nremedy: {remedy}")


class PartlyChecked(UserWarning):
    """A law that could not be checked on this handler; the others were."""
