"""Support: the agent of a shop, which finds orders and pays money back."""

from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from arvo import (
    Contract,
    Emit,
    Event,
    EventHandler,
    OrchestratorContract,
    System,
    Version,
    Workflow,
)
from arvo.agents import (
    Agent,
    Allow,
    Answer,
    Approved,
    Key,
    Model,
    NeedsApproval,
    Refused,
    Role,
    ToolCall,
    Usage,
    approval,
    by_tool,
)
from arvo.testing.agents import scripted


@frozen
class Ask:
    question: str


@frozen
class Replied:
    answer: str


@frozen
class Refund:
    order_id: str
    amount: float
    note: str = "-"


@frozen
class Refunded:
    receipt: str


@frozen
class Dig:
    topic: str


@frozen
class Found:
    text: str


support: Final = OrchestratorContract(
    uri="#/agents/support",
    name="agent.support",
    versions={"1.0.0": Workflow(init=Ask, complete=Replied)},
)
refund: Final = Contract(
    uri="#/contracts/refund",
    type="com.payment.refund",
    description="Pays money back.",
    versions={"1.0.0": Version(accepts=Refund, emits={"evt.payment.refunded": Refunded})},
)
research: Final = OrchestratorContract(
    uri="#/workflows/research",
    name="research",
    versions={"1.0.0": Workflow(init=Dig, complete=Found)},
)


def find_order(order_id: str, key: Key) -> dict[str, float]:
    """Find what an order cost."""
    assert key
    return {"total": 42.0, "order": float(len(order_id))}


LOOK: Final = Answer(
    "Let me look.", (ToolCall("find_order", '{"order_id":"o-1"}'),), Usage(100, 10, 0.25)
)
PAY: Final = Answer(
    "I shall pay it back.",
    (ToolCall("payment_refund", '{"order_id":"o-1","amount":42.0}'),),
    Usage(150, 12, 0.5),
)
DONE: Final = Answer('{"answer": "Paid back"}', (), Usage(200, 8, 0.125))
SCRIPT: Final = (LOOK, PAY, DONE)
POLICY: Final = by_tool(
    {"payment_refund": NeedsApproval(patience=timedelta(days=7))}, otherwise=Allow()
)


def make_role(model: Model | None = None, **options: Any) -> Role:
    """Make the role of the agent, with a script for a model."""
    given: dict[str, Any] = {
        "model": scripted(SCRIPT) if model is None else model,
        "system": "You help the customers of a shop.",
        "prompt": lambda ask: ask.question,
        "tools": [find_order, refund["1.0.0"]],
        "policy": POLICY,
    }
    return Role(**{**given, **options})


def make_agent(model: Model | None = None, **options: Any) -> Agent:
    """Make the agent."""
    return Agent(support, {"1.0.0": make_role(model, **options)})


def pay_back(event: Event[Refund]) -> Emit:
    """Pay back."""
    return Emit(Refunded(f"r-{event.data.order_id}"))


payments: Final = EventHandler(refund, {"1.0.0": pay_back})


def make_system(model: Model | None = None, **options: Any) -> System:
    """Make the system of the agent and the service that pays."""
    return System([*make_agent(model, **options).handlers, payments])


def begin(question: str = "Money back for o-1", **options: Any) -> Event[Ask]:
    """Make the event that begins a run."""
    return support["1.0.0"].init(Ask(question), source="com.shop.web", **options)


def decide(request: Event[Any], decision: Approved | Refused, **options: Any) -> Event[Any]:
    """Make the event by which a person answers a request for approval."""
    return approval["1.0.0"].emits(
        decision,
        source=approval.type,
        subject=request.subject,
        to=request.source,
        parentid=request.id,
        **options,
    )
