"""Calls: the official client calls the tools of a system, by old and new versions of MCP."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from arvo import Flow, System, Violated, ask, service, sleep, workflow
from arvo.mcp import mcp_server
from arvo.mcp.catalog import RESULT_TOOL
from arvo.mcp.results import KEY_META, WORKFLOW_META
from tests.interpreters.within import within
from tests.mcp.clients import (
    CLOSE,
    DECLINE,
    GRANT,
    MODES,
    Person,
    accept,
    client_of,
    runtime_of,
    text_in,
    text_of,
)
from tests.mcp.expenses import Expense, Paid, approval, approve, pay, system

EXPENSE = {"employee": "ann", "amount": 900}

modes = pytest.mark.parametrize("mode", MODES)


@modes
def test_each_contract_is_a_tool_with_the_schemas_of_its_payloads(mode: str) -> None:
    async def go() -> None:
        async with runtime_of() as runtime, client_of(runtime, mode) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"payment_pay", "payment_pin", "expense_approve", RESULT_TOOL}
        tool = tools["payment_pay"]
        assert tool.description == "Pay an expense at once."
        assert tool.input_schema["required"] == ["employee", "amount"]
        assert tool.output_schema is not None
        assert list(tool.output_schema["properties"]) == ["receipt"]
        # The key of the parent is the protocol's, and no argument of a call.
        assert "parentSubject$$" not in tools["expense_approve"].input_schema["properties"]
        # A secret is not shown, so what is shown does not fit the schema.
        assert tools["payment_pin"].output_schema is None

    within(go())


@modes
def test_a_service_answers(mode: str) -> None:
    async def go() -> None:
        async with runtime_of() as runtime, client_of(runtime, mode) as client:
            result = await client.call_tool("payment_pay", EXPENSE)
            assert (result.is_error, result.structured_content) == (False, {"receipt": "r-900"})

            failed = await client.call_tool("payment_pay", {**EXPENSE, "amount": 5_000})
            assert failed.is_error
            assert text_of(failed) == "ValueError: more than there is"

            refused = await client.call_tool("payment_pay", {"employee": "ann"})
            assert refused.is_error
            assert "data.amount: expected a value (required), got nothing" in text_of(refused)

            hidden = await client.call_tool("payment_pin", EXPENSE)
            assert hidden.structured_content == {"pin": "•••"}

    within(go())


@modes
def test_what_a_workflow_asks_is_a_form_for_the_person_at_the_client(mode: str) -> None:
    """Its fields are those of the answers of the contract."""
    person = Person([GRANT])

    async def go() -> None:
        async with runtime_of() as runtime, client_of(runtime, mode, person) as client:
            result = await client.call_tool("expense_approve", {**EXPENSE, "pin": "4711"})
        assert result.structured_content == {"receipt": "r-900"}
        [(message, schema)] = person.forms
        assert message == ('May this expense be paid? {"employee":"ann","amount":900,"pin":"•••"}')
        outcomes = ["evt.human.decided", "evt.human.postponed"]
        assert schema["properties"] == {
            "outcome": {"type": "string", "enum": outcomes},
            "granted": {"type": "boolean"},
            "reason": {"type": "string"},
            "until": {"type": "string"},
        }
        assert schema["required"] == ["outcome"]

    within(go())


@modes
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (DECLINE, "ServiceFailed: com.human.approval failed: Declined: a person declined"),
        (accept(outcome="evt.human.postponed", until="May"), "Fail: postponed until May"),
        (accept(outcome="evt.human.decided", granted=False, reason="no"), "Fail: no"),
    ],
    ids=["declined", "another outcome", "refused"],
)
def test_the_choice_of_a_person_is_the_answer(mode: str, answer: object, error: str) -> None:
    person = Person([answer])  # type: ignore[list-item]  # parametrize knows no types

    async def go() -> None:
        async with runtime_of() as runtime, client_of(runtime, mode, person) as client:
            result = await client.call_tool("expense_approve", EXPENSE)
        assert (result.is_error, text_of(result)) == (True, error)

    within(go())


@modes
def test_an_answer_that_fits_no_contract_is_asked_for_again(mode: str) -> None:
    """With what is wrong with it."""
    person = Person([accept(outcome="evt.human.decided", granted="perhaps"), GRANT])

    async def go() -> None:
        async with runtime_of() as runtime, client_of(runtime, mode, person) as client:
            result = await client.call_tool("expense_approve", EXPENSE)
        assert result.structured_content == {"receipt": "r-900"}
        assert "data.granted: expected a boolean, got 'perhaps'" in person.forms[1][0]

    within(go())


@modes
def test_a_client_that_shows_no_forms_waits_by_the_id(mode: str) -> None:
    """Somebody else answers; the outcome is that of the same run."""

    async def go() -> None:
        async with runtime_of() as runtime, client_of(runtime, mode) as client:
            begun = await client.call_tool("expense_approve", EXPENSE)
            assert begun.is_error
            assert begun.meta is not None
            id_ = begun.meta[WORKFLOW_META]
            assert "waits for the answer of a person" in text_of(begun)
            assert f"call {RESULT_TOOL} with the id {id_}" in text_of(begun)
            described = await client.read_resource(f"arvo://workflow/{id_}")
            assert "waits for  a reply to com.human.approval" in text_in(described)
            waiting = asyncio.create_task(client.call_tool(RESULT_TOOL, {"id": id_}))
            [stored] = await runtime.workflows()
            subject = stored.record.subject
            [request] = stored.record.open_requests
            await runtime.send(
                approval["1.0.0"].emits(
                    {"granted": True},
                    type="evt.human.decided",
                    source=approval.type,
                    subject=subject,
                    to=approve.source,
                    parentid=request,
                )
            )
            result = await waiting
            assert result.structured_content == {"receipt": "r-900"}

    within(go())


@modes
def test_who_closes_a_form_may_answer_later(mode: str) -> None:
    """The question stays open."""
    person = Person([CLOSE, GRANT])

    async def go() -> None:
        async with runtime_of() as runtime, client_of(runtime, mode, person) as client:
            begun = await client.call_tool("expense_approve", EXPENSE)
            assert begun.meta is not None
            result = await client.call_tool(RESULT_TOOL, {"id": begun.meta[WORKFLOW_META]})
        assert result.structured_content == {"receipt": "r-900"}

    within(go())


@modes
def test_of_two_answers_the_first_counts(mode: str) -> None:
    """Two clients at one run: the second answer is late, and its client gets the outcome."""

    async def go() -> None:
        async with runtime_of() as runtime:
            slow = Person([GRANT])
            shown = asyncio.Event()
            decided = asyncio.Event()

            async def answer_late(context: object, params: object) -> object:
                shown.set()
                await decided.wait()
                return await slow(context, params)  # type: ignore[arg-type]

            async with client_of(runtime, mode, answer_late) as client:  # type: ignore[arg-type]
                call = asyncio.create_task(client.call_tool("expense_approve", EXPENSE))
                await shown.wait()
                [stored] = await runtime.workflows()
                [request] = stored.record.open_requests
                await runtime.send(
                    approval["1.0.0"].emits(
                        {"granted": False, "reason": "first"},
                        type="evt.human.decided",
                        source=approval.type,
                        subject=stored.record.subject,
                        to=approve.source,
                        parentid=request,
                    )
                )
                decided.set()
                assert text_of(await call) == "Fail: first"

    within(go())


def test_a_workflow_that_takes_long_is_called_for_again_until_its_id_is_handed_out() -> None:
    """A client gives up after ten rounds, and would not know which run is its own."""

    async def go() -> None:
        async with (
            runtime_of(System([rest])) as runtime,
            client_of(runtime, timeout=0.001) as client,
        ):
            result = await client.call_tool("expense_rest", EXPENSE)
            assert result.meta is not None
            assert "the workflow goes on" in text_of(result)
            described = await client.read_resource(f"arvo://workflow/{result.meta[WORKFLOW_META]}")
            assert "the timer" in text_in(described)

    within(go())


@workflow("expense.rest")
def rest(expense: Expense) -> Flow[Paid]:
    yield from sleep(timedelta(days=1))
    return Paid(expense.employee)


@workflow("expense.broken")
def broken(expense: Expense) -> Flow[Paid]:
    yield from ask("no payload")
    return Paid("")


@modes
def test_a_begin_that_no_handler_can_take_names_its_dead_letter(mode: str) -> None:
    """Otherwise the model would wait for ever."""

    async def go() -> None:
        async with (
            runtime_of(System([broken])) as runtime,
            client_of(runtime, mode, timeout=0.1) as client,
        ):
            result = await client.call_tool("expense_broken", EXPENSE)
        assert "needs an operator (ContractViolation: arvo.orc.expense.broken" in text_of(result)

    within(go())


@modes
def test_a_call_that_is_repeated_with_its_key_begins_one_run(mode: str) -> None:
    """A client that lost the connection does not know whether the first call came."""

    async def go() -> None:
        person = Person([GRANT, GRANT])
        async with runtime_of() as runtime, client_of(runtime, mode, person) as client:
            for key in ("k1", "k1", "k2"):
                meta: Any = {KEY_META: key}
                result = await client.call_tool("expense_approve", EXPENSE, meta=meta)
                assert result.structured_content == {"receipt": "r-900"}
            meta = {KEY_META: "k1"}
            other = await client.call_tool("expense_approve", {**EXPENSE, "amount": 1}, meta=meta)
            assert "workflow_id" in text_of(other)
            assert len(await runtime.workflows()) == 2
        assert len(person.forms) == 2

    within(go())


def test_no_caller_is_the_parent_of_a_run() -> None:
    async def go() -> None:
        async with runtime_of() as runtime, client_of(runtime, "legacy") as client:
            parent = approve["1.0.0"].init(Expense("ann", 1), source="com.office.web").subject
            forged = {**EXPENSE, "parentSubject$$": parent}
            result = await client.call_tool("expense_approve", forged)
        assert text_of(result) == "parentSubject$$: expected no such argument"

    within(go())


def test_what_no_tool_is_is_an_error_of_the_protocol() -> None:
    async def go() -> None:
        async with runtime_of() as runtime, client_of(runtime) as client:
            with pytest.raises(MCPError, match="there are payment_pay, payment_pin"):
                await client.call_tool("payment_refund", {})
            with pytest.raises(MCPError, match="no workflow has this id"):
                await client.call_tool(RESULT_TOOL, {"id": "v1.AAAA"})
            with pytest.raises(MCPError, match="there is no resource"):
                await client.read_resource("arvo://contract/payment_refund")
            with pytest.raises(MCPError, match="no workflow has this id"):
                await client.read_resource("arvo://workflow/v1.AAAA")

    within(go())


def test_contracts_are_resources() -> None:
    async def go() -> None:
        async with runtime_of() as runtime, client_of(runtime) as client:
            listed = (await client.list_resources()).resources
            assert str(listed[0].uri) == "arvo://contract/payment_pay"
            read = await client.read_resource("arvo://contract/payment_pay")
            assert '"type": "com.payment.pay"' in text_in(read)

    within(go())


def test_only_the_chosen_contracts_are_tools() -> None:
    async def go() -> None:
        async with (
            runtime_of() as runtime,
            client_of(runtime, contracts=[pay.contract.uri]) as client,
        ):
            names = [tool.name for tool in (await client.list_tools()).tools]
        assert names == ["payment_pay"]

    within(go())


def test_what_makes_no_server_is_refused_at_once() -> None:
    @service("payment.pay")
    def other(expense: Expense) -> Paid:
        return Paid("")

    async def go() -> None:
        async with runtime_of() as runtime:
            with pytest.raises(Violated, match=r"contracts: expected one of .*, got '#/nothing'"):
                mcp_server(runtime, contracts=["#/nothing"])
            for keys, got in (
                (["short"], "one of 5 bytes"),
                (["k" * 32] * 2, "the same one twice"),
            ):
                with pytest.raises(Violated, match=got):
                    mcp_server(runtime, keys=keys)
            with pytest.raises(Violated, match="timeout: expected seconds above 0, got 0"):
                mcp_server(runtime, timeout=0)
            with pytest.raises(Violated, match="runtime: expected a Runtime"):
                mcp_server(system)  # type: ignore[arg-type]
        async with runtime_of(System([pay, other])) as runtime:
            with pytest.raises(Violated, match="a type whose tool is not named payment_pay"):
                mcp_server(runtime)

    within(go())
