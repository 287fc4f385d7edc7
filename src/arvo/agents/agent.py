"""Agent: a workflow in which a model decides, turn by turn, which tools are called."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, final

from attrs import frozen

from arvo.agents.conversation import Conversation
from arvo.agents.policy import approval
from arvo.agents.role import Role
from arvo.agents.turns import Turns
from arvo.core.contracts.orchestrator import OrchestratorContract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.payloads.payload import Payload
from arvo.core.violations.arguments import check_argument, refusal
from arvo.handlers.event_handler import EventHandler, HandlerPolicy, check_versions
from arvo.handlers.limit import Limit
from arvo.handlers.resumable import Resumable, WorkflowDomains
from arvo.handlers.services import read_services

_VERSION: Final = "1.0.0"


@final
@frozen(init=False, eq=False)
class Agent(Resumable[Conversation]):  # type: ignore[override]  # its constructor
    """A workflow whose steps a model decides, with a `Role` for each version of its contract.

    It is a handler for a `System`, as any workflow is; *handlers* are it and those of its tools.
    Each turn makes at most one call of the model and persists its answer; the next turn asks the
    policy and sends the requests of the tools, which run in parallel, durably and retried. `query`
    returns its `Conversation`. The `executionunits` of its events are the money that the run has
    spent so far. It fails with the name `BudgetExhausted`, `InvalidOutput`, or that of the model's
    exception. *limits*: see `HandlerPolicy`. Raises `Violated`, which names each invalid value.
    """

    roles: Mapping[str, Role]

    def __init__(
        self,
        contract: OrchestratorContract[Any, Any],
        roles: Mapping[str, Role],
        *,
        limits: Iterable[Limit] = (),
    ) -> None:
        expected = "an OrchestratorContract"
        check_argument("contract", contract, OrchestratorContract, expected, of="an Agent")
        check_argument("roles", roles, Mapping, 'roles: {"1.0.0": Role(...)}', of="an Agent")
        for version, role in roles.items():
            if not isinstance(role, Role):
                raise refusal(f"roles.{version}", role, "a Role", "an Agent")
        turns = {
            version: Turns(role, contract.version(version))
            for version, role in roles.items()
            if version in contract.versions
        }
        check_versions(contract, {**roles, **turns}, "the turn")
        services, signals = read_services(contract, _services(roles.values()), ())
        self.__attrs_init__(
            contract,
            turns,
            services,
            signals,
            Payload.of(Conversation),
            0,
            WorkflowDomains(),
            HandlerPolicy(limits=limits),
            None,
            dict(roles),
        )

    @property
    def handlers(self) -> tuple["Agent | EventHandler[Any]", ...]:
        """The agent, and the handlers of its tools that are functions, each once."""
        tools = [it for role in self.roles.values() for it in role.tools]
        own = {id(it.handler): it.handler for it in tools if it.handler is not None}
        return (self, *own.values())


def _services(roles: Iterable[Role]) -> list[VersionedContract[Any]]:
    """Return the contracts of all tools, each once, and that of approvals."""
    contracts = [it.contract for role in roles for it in role.tools]
    return [*{it.dataschema: it for it in contracts}.values(), approval.version(_VERSION)]
