"""Policy: which tools an agent may call, decided outside of the model."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeAlias, final

from attrs import field, frozen

from arvo.agents.conversation import Conversation, ToolCall
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.version_spec import Version
from arvo.core.violations.arguments import refusal
from arvo.handlers.duration import to_timedelta

APPROVAL_DOMAIN: Final = "human.approval"


@final
@frozen
class Allow:
    """The call is made."""


@final
@frozen
class Deny:
    """The call is not made; the model gets the *reason* as its result."""

    reason: str = "not allowed"


def _read_patience(value: timedelta | float | None) -> timedelta | None:
    return None if value is None else to_timedelta("patience", value)


def _check_domain(_: object, __: object, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise refusal("domain", value, "the name of a domain", "NeedsApproval")


@final
@frozen
class NeedsApproval:
    """The call is made once a person has approved it.

    An `Approve` leaves by the *domain*, and is answered with `Approved` or `Refused`. *patience*: a
    timedelta or seconds after which the call counts as refused; None waits for good.
    """

    domain: str = field(default=APPROVAL_DOMAIN, validator=_check_domain)
    patience: timedelta | None = field(default=timedelta(days=7), converter=_read_patience)


Verdict: TypeAlias = Allow | Deny | NeedsApproval
# A pure function. The arguments of the call fit the tool's contract already.
Policy: TypeAlias = Callable[[ToolCall, Conversation], Verdict]


@final
@frozen
class ByTool:
    """A policy that looks at the name of the tool only; made by `by_tool`."""

    verdicts: Mapping[str, Verdict]
    otherwise: Verdict

    def __call__(self, call: ToolCall, _: Conversation) -> Verdict:
        """Return the verdict on a call."""
        return self.verdicts.get(call.tool, self.otherwise)


def by_tool(verdicts: Mapping[str, Verdict], *, otherwise: Verdict = Deny()) -> ByTool:
    """Make a policy of a verdict for each tool, by the name that the model sees.

    *otherwise*: for the tools that are not named. A `Role` refuses a name that none of its tools
    has.

    >>> by_tool({"find_order": Allow()})(ToolCall("drop_table"), Conversation())
    Deny(reason='not allowed')
    """
    return ByTool(dict(verdicts), otherwise)


@final
@frozen
class Approve:
    """The question to a person: may *agent* call *tool* with *arguments*, which are JSON text?

    The tool gets exactly these arguments, byte for byte. *reason*: the text of the model.
    """

    agent: str
    tool: str
    arguments: str
    reason: str


@final
@frozen
class Approved:
    """The call may be made; *by*: who says so."""

    by: str


@final
@frozen
class Refused:
    """The call may not be made; the model gets the *reason*."""

    by: str
    reason: str = ""


approval: Final[Contract[Any]] = Contract(
    uri="#/arvo/agents/approval",
    type="com.arvo.agent.approve",
    description="Asks a person whether an agent may call a tool.",
    versions={
        "1.0.0": Version(
            accepts=Approve,
            emits={"evt.arvo.agent.approved": Approved, "evt.arvo.agent.refused": Refused},
        )
    },
)
