"""Budget: how much an agent's run may spend."""

from math import isfinite
from typing import Any, Final, final

from attrs import Attribute, field, frozen

from arvo.agents.conversation import Usage
from arvo.core.violations.arguments import refusal

STEPS_MAX: Final = 10_000


def _check_count(_: object, attribute: "Attribute[Any]", value: object) -> None:
    lowest = 0 if attribute.name == "corrections" else 1
    if value is None and attribute.name == "tokens":
        return
    highest = STEPS_MAX if attribute.name == "steps" else 2**53
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise refusal(attribute.name, value, f"a whole number from {lowest} to {highest}", "Budget")


def _check_money(_: object, __: object, value: Any) -> None:
    if value is None or (isinstance(value, int | float) and isfinite(value) and value > 0):
        return
    raise refusal("money", value, "a number above 0, or None for no limit", "Budget")


@final
@frozen(kw_only=True)
class Budget:
    """Limits of one run; no call of the model begins once one of them is reached.

    *steps*: calls of the model. *tokens*: of input and output together. *money*: in the currency of
    the model's prices. *corrections*: how often the model may repair a final answer that does not
    fit the contract. The call that reaches a limit of tokens or money may exceed it; the model is
    told how many tokens are left. Raises `Violated` for a value out of bounds.
    """

    steps: int = field(default=20, validator=_check_count)
    tokens: int | None = field(default=None, validator=_check_count)
    money: float | None = field(default=None, validator=_check_money)
    corrections: int = field(default=2, validator=_check_count)

    def exhausted(self, steps: int, spent: Usage) -> str | None:
        """Return which limit is reached, in words, or None.

        >>> Budget(steps=3).exhausted(3, Usage())
        'the budget of 3 steps is used up'
        """
        if steps >= self.steps:
            return f"the budget of {self.steps} steps is used up"
        if self.tokens is not None and spent.tokens >= self.tokens:
            return f"the budget of {self.tokens} tokens is used up: {spent.tokens}"
        if self.money is not None and spent.money >= self.money:
            return f"the budget of {self.money} is used up: {spent.money}"
        return None

    def tokens_left(self, spent: Usage) -> int | None:
        """Return how many tokens may still be used, None for no limit."""
        return None if self.tokens is None else max(0, self.tokens - spent.tokens)
