"""Tools: functions and contracts under a name for the model, and what is refused."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import pytest
from attrs import frozen

from arvo import Contract, OrchestratorContract, Secret, Version, Workflow, service
from arvo.agents import (
    Agent,
    Allow,
    Budget,
    Key,
    NeedsApproval,
    Usage,
    by_tool,
    drop_results,
    keep_last,
    tool,
)
from arvo.core.violations.issue import Issues
from arvo.core.violations.violation import Violated
from tests.agents.support import (
    Dig,
    Found,
    find_order,
    make_agent,
    make_role,
    refund,
    research,
    support,
)


@frozen
class Login:
    user: str


@frozen
class Token:
    user: str
    token: Annotated[str, Secret()]


login = Contract(
    uri="#/contracts/login",
    type="com.user.login",
    versions={"1.0.0": Version(accepts=Login, emits={"evt.user.logged.in": Token})},
)


def test_names_follow_from_functions_and_event_types() -> None:
    """A model sees short names, of the characters that providers accept."""
    tools = [tool(it) for it in (find_order, refund["1.0.0"], research["1.0.0"])]

    assert [it.name for it in tools] == ["find_order", "payment_refund", "research"]
    assert tool(refund["1.0.0"], name="refund").name == "refund"
    assert tool(tools[0]) is tools[0]


def test_a_function_brings_its_handler_and_a_contract_brings_none() -> None:
    """A service may run in another process; a function runs where the agent does."""
    agent = make_agent()

    assert [it.source for it in agent.handlers] == [agent.source, "com.tool.find.order"]
    assert tool(refund["1.0.0"]).handler is None


def test_a_decorated_service_is_a_tool() -> None:
    """It declares a version of a contract, as a workflow's list of services knows."""

    @service("com.orders.look")
    def look(request: Dig) -> Found:
        return Found(request.topic)

    assert tool(look).contract is look.declared


def test_a_workflow_is_waited_for_without_a_limit() -> None:
    """It ends by itself, and may wait for a person."""
    assert tool(research["1.0.0"]).patience is None
    assert tool(refund["1.0.0"]).patience == timedelta(days=1)
    assert tool(refund["1.0.0"], patience=5).patience == timedelta(seconds=5)


def test_the_arguments_of_a_child_do_not_name_its_parent() -> None:
    """That is the agent itself."""
    assert list(tool(research["1.0.0"]).spec.schema["properties"]) == ["topic"]
    assert tool(research["1.0.0"]).read('{"topic":"x","parentSubject$$":"y"}') == '{"topic":"x"}'


def test_arguments_are_bounded() -> None:
    """A model may repeat itself without end."""
    read = tool(refund["1.0.0"]).read(f'{{"order_id":"{"x" * 300_000}","amount":1}}')

    assert isinstance(read, Issues)
    assert "at most 262144 characters" in str(read)


def test_a_secret_in_an_answer_does_not_reach_the_model() -> None:
    """Its provider is another company."""
    made = login["1.0.0"].emits(Token("ann", "s3cret"), source="com.user.login", subject="s")

    text = tool(login["1.0.0"]).write_result(made)

    assert text == '{"user":"ann","token":"•••"}'


def unannotated(order_id) -> str:  # type: ignore[no-untyped-def]
    return str(order_id)


def collecting(*order_ids: str) -> str:
    return order_ids[0]


def without_result(order_id: str):  # type: ignore[no-untyped-def]
    return order_id


def with_callable(order_id: Callable[[], str]) -> str:
    return order_id()


def named_otherwise(order_id: str, key: Key) -> str:
    return order_id + key


named_otherwise.__name__ = "a function"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (unannotated, "annotated parameter"),
        (collecting, "given by position"),
        (without_result, "an annotation of its result"),
        (with_callable, "has no form in JSON"),
        (refund, 'one version of a contract, such as refund["1.0.0"]'),
        (3, "a function, or one version of a contract"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_with_the_remedy(source: Any, expected: str) -> None:
    """The author sees it where the tool is made."""
    with pytest.raises(Violated, match=expected.replace("[", "\\[")):
        tool(source)


silent = Contract(
    uri="#/contracts/silent",
    type="com.silent",
    versions={"1.0.0": Version(accepts=Dig, emits={})},
)
shared = OrchestratorContract(
    uri="#/workflows/shared",
    name="shared",
    versions={"1.0.0": Workflow(init=Dig, complete=Found)},
    key=lambda dig: dig.topic,
)


@pytest.mark.parametrize("contract", [silent, shared])
def test_a_contract_that_answers_nothing_is_no_tool(contract: Any) -> None:
    """The run would wait for good."""
    with pytest.raises(Violated, match="a tool cannot take this argument"):
        tool(contract["1.0.0"])


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "ä", "a.b", "final_result"])
def test_a_name_that_providers_refuse_is_refused(name: str) -> None:
    """Otherwise the first call of the model would fail, in production."""
    with pytest.raises(Violated, match="name="):
        tool(find_order, name=name)


def test_two_tools_of_one_name_are_refused() -> None:
    """The model could not say which it means."""
    with pytest.raises(Violated, match=r"tools\[1\]: expected a name of its own"):
        make_role(tools=[find_order, tool(refund["1.0.0"], name="find_order")], policy=by_tool({}))


def test_a_role_with_tools_needs_a_policy() -> None:
    """No tool is allowed because its author forgot to think of it."""
    with pytest.raises(Violated, match="policy: expected a policy"):
        make_role(policy=None)

    assert make_role(tools=[], policy=None).tools == ()


def test_a_policy_for_an_unknown_tool_is_refused() -> None:
    """A typing error in a name would allow what needs an approval."""
    with pytest.raises(Violated, match="'payment_refnd'"):
        make_role(policy=by_tool({"payment_refnd": NeedsApproval()}, otherwise=Allow()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Budget(steps=0),
        lambda: Budget(tokens=0),
        lambda: Budget(money=float("nan")),
        lambda: Budget(corrections=-1),
        lambda: keep_last(0),
        lambda: drop_results(keep=0),
        lambda: NeedsApproval(domain=""),
        lambda: NeedsApproval(patience=-1),
        lambda: make_role(system=None),
        lambda: make_role(prompt=None),
        lambda: make_role(budget=3),
        lambda: make_role(timeout=-1),
        lambda: Agent(support, {"1.0.0": find_order}),  # type: ignore[dict-item]
        lambda: Agent(support, {}),
        lambda: Agent(refund, {"1.0.0": make_role()}),  # type: ignore[arg-type]
    ],
)
def test_a_value_out_of_bounds_is_refused(make: Callable[[], object]) -> None:
    """An invalid agent is found when its module is imported."""
    with pytest.raises(Violated):
        make()


@pytest.mark.parametrize("money", [-1.0, float("nan"), float("inf")])
def test_an_invalid_price_is_refused(money: float) -> None:
    """A sum with it would never reach the budget."""
    with pytest.raises(ValueError, match="money"):
        Usage(money=money)
