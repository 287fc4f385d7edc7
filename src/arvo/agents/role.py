"""Role: one version of an agent: its model, its prompts, its tools and their limits."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Final, final

from attrs import field, frozen

from arvo.agents.budget import Budget
from arvo.agents.compaction import Compaction, keep_last
from arvo.agents.conversation import Model
from arvo.agents.policy import ByTool, Policy
from arvo.agents.tools import Tool, tool
from arvo.core.violations.arguments import check_argument, check_function, check_list, refusal
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.duration import to_seconds
from arvo.handlers.effect import Retry

RETRY: Final = Retry(attempts=4, delay=1.0)
TIMEOUT: Final = 120.0
BUDGET: Final = Budget()
COMPACT: Final = keep_last(400)


def _read_tools(tools: Iterable[Any]) -> tuple[Tool, ...]:
    check_list("tools", tools, "tools: functions, or versions of contracts", of="a Role")
    return tuple(map(tool, tools))


def _read_timeout(value: timedelta | float) -> float:
    return to_seconds("timeout", value)


@final
@frozen(kw_only=True)
class Role:
    """One version of an agent.

    *model*: a function from a `Prompt` to an `Answer`; it runs as an effect, with *retry* and a
    *timeout* in seconds for each attempt. *system*: the instructions to the model. *prompt*: a pure
    function from the payload that begins a run to the first message. *tools*: see `tool`; the
    contracts and functions themselves will do. *policy*: which of their calls are made; a role with
    tools needs one, `by_tool` makes it. *compact*: which messages stay, see `keep_last`; it
    is applied to the state before each call of the model. Raises `Violated`, which names each
    invalid value.
    """

    model: Model
    system: str
    prompt: Callable[[Any], str]
    tools: tuple[Tool, ...] = field(default=(), converter=_read_tools)
    policy: Policy | None = None
    budget: Budget = BUDGET
    compact: Compaction = COMPACT
    retry: Retry = RETRY
    timeout: float = field(default=TIMEOUT, converter=_read_timeout)

    def __attrs_post_init__(self) -> None:
        for name in ("model", "prompt", "compact"):
            if getattr(self, name) is None:
                raise refusal(name, None, "a function", "a Role")
            check_function(name, getattr(self, name), "a function", of="a Role")
        check_argument("system", self.system, str, "a text", of="a Role")
        check_argument("budget", self.budget, Budget, "a Budget", of="a Role")
        check_function("policy", self.policy, "a function: by_tool makes one", of="a Role")
        issues = [*_tool_issues(self.tools), *_policy_issues(self.policy, self.tools)]
        if issues:
            raise Violated(ConfigViolation("the tools of this role do not fit", tuple(issues)))

    def tool(self, name: str) -> Tool | None:
        """Return the tool with a name."""
        return next((it for it in self.tools if it.name == name), None)


def _tool_issues(tools: tuple[Tool, ...]) -> Iterable[Issue]:
    names = Counter(it.name for it in tools)
    for at, item in enumerate(tools):
        if names[item.name] > 1:
            expected = "a name of its own, by tool(..., name=)"
            yield Issue(f"tools[{at}]", expected, f"{item.name} ({item.contract.dataschema})")


def _policy_issues(policy: Policy | None, tools: tuple[Tool, ...]) -> Iterable[Issue]:
    names = [it.name for it in tools]
    if tools and policy is None:
        yield Issue("policy", "a policy, as the role has tools: by_tool makes one", "None")
    if isinstance(policy, ByTool):
        for name in policy.verdicts:
            if name not in names:
                yield Issue("policy", f"one of the tools {', '.join(names)}", repr(name))
