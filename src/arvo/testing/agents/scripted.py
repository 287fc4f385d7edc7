"""Scripted: a model that answers from a list, without a network."""

from collections.abc import Callable, Iterable

from arvo.agents.conversation import Answer, Prompt
from arvo.core.violations.arguments import check_list, refusal


def scripted(script: Iterable[Answer | str]) -> Callable[[Prompt], Answer]:
    """Make a model that answers step number n of each run with item n of *script*.

    A string is a final answer. A repeated call gets the same answer, so a crash in a simulation
    changes none. A step behind the end raises LookupError, by which the run fails.
    """
    check_list("script", script, "answers", of="scripted")
    answers = tuple(Answer(it) if isinstance(it, str) else it for it in script)
    for at, item in enumerate(answers):
        if not isinstance(item, Answer):
            raise refusal(f"script[{at}]", item, "an Answer, or a text", "scripted")

    def model(prompt: Prompt) -> Answer:
        if prompt.step >= len(answers):
            raise LookupError(f"the script has {len(answers)} answers, step {prompt.step} none")
        return answers[prompt.step]

    return model
