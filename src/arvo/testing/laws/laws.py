"""Laws: a law, the search for an example that breaks it, and how that is told."""

from collections.abc import Callable, Sequence
from textwrap import indent
from typing import Any, Final, TypeVar, final

from attrs import frozen
from hypothesis import Phase, find, settings
from hypothesis.errors import Flaky, NoSuchExample, Unsatisfiable
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

# The same verdict each time, on any machine: a check that fails on some days is not believed.
BUDGET: Final = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    # Not `explain`: it runs as many examples again, to comment what the story tells.
    phases=(Phase.generate, Phase.shrink),
)
# A longer story has not been shrunk, or does not end.
STORY_LINES_MAX: Final = 12


@final
@frozen(kw_only=True)
class LawViolation:
    """A law that does not hold: which one, the *problem*, the *story* that shows it, a *remedy*.

    *story* tells step by step what happened, with payloads as Python.
    """

    law: str
    problem: str
    story: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        steps = [f"{number}. {line}" for number, line in enumerate(self.story, 1)]
        if len(steps) > STORY_LINES_MAX:
            left = len(steps) - STORY_LINES_MAX + 1
            steps[STORY_LINES_MAX - 1 :] = [f"… and {left} more"]
        body = indent("\n".join(steps), "    ")
        return f"{self.law}: {self.problem}\n\n{body}\n\nremedy: {self.remedy}"


class LawViolated(AssertionError):
    """A handler or workflow of the user's breaks a law; `broken` says which, and how."""

    def __init__(self, where: str, broken: LawViolation) -> None:
        super().__init__(f"{where} breaks a law\n\n{broken}")
        self.broken = broken


def search(
    examples: SearchStrategy[T],
    laws: Sequence[Callable[[T], LawViolation | None]],
    budget: settings,
) -> LawViolation | None:
    """Search for the smallest example that breaks one of *laws*; None where there is none.

    Each example is judged by all laws in order, until one is broken: from then on only that one
    counts, so that the example which is told has been shrunk for it.
    """
    found: dict[str, LawViolation | None] = {}
    counting = list(laws)

    def judged(example: T) -> LawViolation | None:
        for law in counting:
            broken = law(example)
            if broken is not None:
                counting[:] = [law]
                return broken
        return None

    def breaks(example: T) -> bool:
        # Judged once: what answers differently each time would confuse the search, and is just
        # what it may be looking for.
        key = repr(example)
        if key not in found:
            found[key] = judged(example)
        return found[key] is not None

    try:
        smallest: Any = find(examples, breaks, settings=budget)
    except (NoSuchExample, Unsatisfiable):
        return None
    except Flaky:
        broken = [each for each in found.values() if each is not None]
        return min(broken, key=lambda each: len(each.story), default=None)
    return found[repr(smallest)]
