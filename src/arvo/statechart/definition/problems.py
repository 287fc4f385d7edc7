"""Problems: what is wrong with a definition, found before it runs."""

from attrs import frozen


@frozen
class Problem:
    """One broken rule, at the state with this *path* (``order.paying``; the root is its id)."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ChartError(ValueError):
    """A definition that cannot be a chart, with everything that is wrong with it."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
