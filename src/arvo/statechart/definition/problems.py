"""Problems: the mistakes in a definition that are found before it runs."""

from typing import Literal, TypeAlias

from attrs import frozen

from arvo.printable import printable

# "invalid" stands for a broken rule; the others are the checks of `lint`.
ProblemKind: TypeAlias = Literal[
    "invalid", "unreachable", "dead end", "always loop", "shadowed", "unhandled", "endless"
]


@frozen
class Problem:
    """One mistake in a definition.

    *path* is the path of its state (``order.paying``; the root's is its id). *kind* is
    ``invalid`` in a ``ChartError``, where the definition breaks a rule, and the name of a check
    in the result of ``lint``, where the chart runs but may not do as intended.
    """

    path: str
    message: str
    kind: ProblemKind = "invalid"

    def __str__(self) -> str:
        kind = "" if self.kind == "invalid" else f"{self.kind}: "
        return printable(f"{self.path}: {kind}{self.message}")


class ChartError(ValueError):
    """A definition that is not a valid chart. *problems* holds every broken rule."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
