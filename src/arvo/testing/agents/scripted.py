"""Scripted: a model that answers from a list, without a network."""

from collections.abc import Iterable
from typing import final

from attrs import frozen

from arvo.agents.conversation import Answer, Prompt
from arvo.core.violations.arguments import check_list, refusal


@final
@frozen(eq=False)
class Scripted:
    """A model that gives the answers of a list, one for each step; made by `scripted`."""

    script: tuple[Answer, ...]
    __qualname__ = "scripted"

    def __call__(self, prompt: Prompt) -> Answer:
        """Return the answer of the prompt's step."""
        if prompt.step >= len(self.script):
            raise LookupError(f"the script has {len(self.script)} answers, step {prompt.step} none")
        return self.script[prompt.step]


def scripted(script: Iterable[Answer | str]) -> Scripted:
    """Make a model that answers step number n of each run with item n of *script*.

    A string is a final answer. A repeated call gets the same answer, so a crash in a simulation
    changes none. A step behind the end raises LookupError, by which the run fails.
    """
    check_list("script", script, "answers", of="scripted")
    answers = tuple(Answer(it) if isinstance(it, str) else it for it in script)
    for at, item in enumerate(answers):
        if not isinstance(item, Answer):
            raise refusal(f"script[{at}]", item, "an Answer, or a text", "scripted")
    return Scripted(answers)
