"""Dead letters: an operator can inspect, redrive and delete them."""

import asyncio
from datetime import UTC, datetime

import pytest
from attrs import evolve

from arvo import (
    BatchResult,
    Commands,
    ContractViolation,
    DeadLetter,
    Emit,
    Event,
    EventHandler,
    Runtime,
    Stats,
    System,
    Violated,
)
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.violations.violation import ConfigViolation
from arvo.interpreters.runtime.backends import backend_from_url
from tests.core.contracts.test_versioned_workflow import begin
from tests.interpreters.inside import send_inside
from tests.interpreters.runtime.running import (
    Replaced,
    new_backend,
    reply_to_an_unknown_workflow,
    run_runtime,
)
from tests.shop import (
    CardCharged,
    ChargeCard,
    OrderState,
    PlaceOrder,
    charge,
    charge_request,
    fulfil,
    make_workflow,
    order,
    order_request,
    payment_handler,
    payments,
    shipping,
    shop,
)

pytestmark = pytest.mark.usefixtures("each_backend")


@pytest.mark.promise("I5")
def test_a_dead_letter_can_be_redriven_after_its_cause_is_fixed() -> None:
    """The same event is delivered again: a violation has changed nothing (promise I5)."""
    fixed: list[bool] = []

    def handler(event: Event[ChargeCard]) -> Commands:
        return Emit(CardCharged("r") if fixed else {"receipt": 1}, type="evt.payment.charged")

    async def work(runtime: Runtime) -> None:
        await runtime.send(charge_request())
        await runtime.drain(timeout=60)
        (dead_letter,) = await runtime.dead_letters()
        assert "data.receipt: expected a string, got 1" in dead_letter.reason
        assert (dead_letter.event, dead_letter.attempts, dead_letter.at[:4]) == (
            charge_request(),
            1,
            "2030",
        )
        fixed.append(True)
        await runtime.redrive_dead_letter(dead_letter.id)
        await runtime.drain(timeout=60)
        assert await runtime.dead_letters() == ()
        for act in (runtime.redrive_dead_letter, runtime.delete_dead_letter):
            with pytest.raises(Violated, match="id: expected the id of a dead letter"):
                await act(dead_letter.id)

    _, stats = run_runtime(
        System([payment_handler(handler)]), work, now=lambda: datetime(2030, 1, 1, tzinfo=UTC)
    )

    assert stats == Stats(handled=1, dead_lettered=1, unclaimed=1)


def test_a_dead_letter_can_be_deleted() -> None:
    """An operator does it on purpose."""

    async def work(runtime: Runtime) -> None:
        await send_inside(runtime, reply_to_an_unknown_workflow())
        await runtime.drain(timeout=60)
        (dead_letter,) = await runtime.dead_letters()
        await runtime.delete_dead_letter(dead_letter.id)
        assert await runtime.dead_letters() == ()

    run_runtime(shop, work)


def test_a_dead_letter_whose_event_has_no_handler_stays() -> None:
    """Redriving it must not lose it."""

    async def work(runtime: Runtime) -> int:
        await runtime.send(charge_request())
        await runtime.drain(timeout=60)
        (dead_letter,) = await runtime.dead_letters()
        with pytest.raises(Violated, match="no handler answers event"):
            await runtime.redrive_dead_letter(dead_letter.id)
        return len(await runtime.dead_letters())

    lost = System([payment_handler(lambda _: Emit(CardCharged("r"), to="com.unknown.address"))])
    dead_letters, _ = run_runtime(lost, work)

    assert dead_letters == 1


def test_a_dead_letter_contains_its_violation() -> None:
    """A report can tell a contract violation from a configuration violation, and names each
    field.
    """
    refusing = System([EventHandler(charge, {"1.0.0": lambda _: Emit({}, type="evt.unknown.x")})])

    async def ask() -> None:
        async with Runtime(refusing, new_backend()) as runtime:
            with pytest.raises(Violated) as refused:
                await runtime.request(charge_request(), timeout=60)
            (dead_letter,) = await runtime.dead_letters()

            assert dead_letter.violation == refused.value.violation
            assert isinstance(dead_letter.violation, ContractViolation)

    asyncio.run(ask())


def cautious(event: Event[ChargeCard]) -> Commands:
    """Break the contract for a large amount."""
    return Emit({"receipt": 1 if event.data.amount > 100 else "r"}, type="evt.payment.charged")


def test_a_request_that_was_edited_is_answered_to_the_workflow_that_waits() -> None:
    """It keeps the id, by which the workflow finds the answer."""
    orders = System([payment_handler(cautious), shipping, make_workflow(fulfil, state=OrderState)])

    async def work(runtime: Runtime) -> str:
        event = order_request(amount=200.0)
        await runtime.send(event)
        await runtime.drain(timeout=60)
        (dead_letter,) = await runtime.dead_letters()
        for data, fault in (
            ({"order_id": "o1"}, "data.amount: expected a value"),
            ({"order_id": "o1", "amount": "ten"}, "data.amount: expected a number"),
        ):
            with pytest.raises(Violated, match=fault):
                await runtime.redrive_dead_letter(dead_letter.id, data=data)
        assert await runtime.dead_letters() == (dead_letter,)
        await runtime.redrive_dead_letter(dead_letter.id, data=ChargeCard("o1", 20.0))
        await runtime.drain(timeout=60)
        record = await runtime.record(event.subject)
        assert record is not None
        return record.status

    assert run_runtime(orders, work)[0] == "done"


def test_an_edited_event_has_a_new_id_and_its_parent() -> None:
    """Its receiver may have consumed the id; an answer stays the answer to its request."""
    handled: list[Event[ChargeCard]] = []

    def handler(event: Event[ChargeCard]) -> Commands:
        handled.append(event)
        return cautious(event)

    async def work(runtime: Runtime) -> str:
        await runtime.send(evolve(charge_request(amount=200.0), parentid="cause"))
        await runtime.drain(timeout=60)
        (dead_letter,) = await runtime.dead_letters()
        await runtime.redrive_dead_letter(dead_letter.id, data={"order_id": "o1", "amount": 20.0})
        await runtime.drain(timeout=60)
        assert await runtime.dead_letters() == ()
        return dead_letter.event.id

    original, _ = run_runtime(System([payment_handler(handler)]), work)

    event = handled[-1]
    assert (event.data.amount, event.parentid) == (20.0, "cause")
    assert event.id != original


def test_what_fails_again_while_many_are_redriven_is_left() -> None:
    """It would be redriven for ever."""

    async def work(runtime: Runtime) -> tuple[BatchResult, int]:
        for number in range(30):
            await runtime.send(charge_request(f"e{number}", amount=200.0))
        await runtime.drain(timeout=60)
        dry = await runtime.redrive_dead_letters(dry_run=True, type="com.payment.charge")
        result = await runtime.redrive_dead_letters(type="com.payment.charge")
        await runtime.drain(timeout=60)
        assert dry == result
        return result, len(await runtime.dead_letters())

    (result, left), stats = run_runtime(System([payment_handler(cautious)]), work)

    assert (result, left) == (BatchResult(matched=30, done=30), 30)
    assert stats.dead_lettered == 60


def test_dead_letters_that_were_chosen_are_acted_on_in_place_of_filters() -> None:
    """An operator has selected rows of a list; a check leaves one, and one was deleted since."""

    async def work(runtime: Runtime) -> BatchResult:
        for number in range(4):
            await runtime.send(charge_request(f"e{number}", amount=200.0))
        await runtime.drain(timeout=60)
        first, second, third, fourth = await runtime.dead_letters()

        async def check(dead_letter: DeadLetter) -> None:
            if dead_letter == second:
                raise Violated(ConfigViolation("you may not do this"))

        chosen = [third.id, "nothing", second.id, first.id]
        dry = await runtime.delete_dead_letters(ids=chosen, check=check, dry_run=True)
        result = await runtime.delete_dead_letters(ids=chosen, check=check)
        assert dry == result
        assert await runtime.dead_letters() == (second, fourth)
        for act in (runtime.redrive_dead_letters, runtime.delete_dead_letters):
            with pytest.raises(Violated, match="handler: expected none beside ids"):
                await act(ids=chosen, handler="")
            with pytest.raises(TypeError, match="unexpected keyword argument 'causes'"):
                await act(causes="x")  # type: ignore[call-arg]
        return result

    result, _ = run_runtime(System([payment_handler(cautious)]), work)

    assert (result.matched, result.done, result.gone, result.refused) == (4, 2, 1, 1)


@pytest.mark.parametrize("verb", ["redrive_dead_letters", "delete_dead_letters"])
def test_what_another_operator_took_first_is_gone(verb: str) -> None:
    """It is no refusal: nothing is left to do."""
    made = new_backend()
    backend = backend_from_url(made) if isinstance(made, str) else made

    async def find_none(_: str) -> None:
        return None

    async def work(runtime: Runtime) -> BatchResult:
        await runtime.send(charge_request(amount=200.0))
        await runtime.drain(timeout=60)
        result: BatchResult = await getattr(runtime, verb)()
        return result

    result, _ = run_runtime(
        System([payment_handler(cautious)]),
        work,
        backend=Replaced(backend, find_dead_letter=find_none),
    )

    assert result == BatchResult(matched=1, gone=1)


def test_a_begin_that_is_a_dead_letter_is_found_by_its_workflow_id() -> None:
    """No workflow has the id then, and an operator knows no other."""
    invalid = begin().with_payload(FrozenDict({}), FrozenDict({"order_id": 1}))

    async def work(runtime: Runtime) -> BatchResult:
        for event in (invalid, charge_request(amount=200.0)):
            await runtime._send(event)  # past the checks of `send`
        await runtime.drain(timeout=60)
        [found] = await runtime.dead_letters(subject="order-1")
        assert found.event.subject == invalid.subject
        assert await runtime.dead_letters(subject="arvo.orc.order.fulfil/order-1") == (found,)
        assert await runtime.dead_letters(subject="arvo.orc.other/order-1") == ()
        assert await runtime.dead_letters(subject="order-2") == ()
        [group] = await runtime.dead_letter_groups(subject="order-1")
        assert group.number == 1
        return await runtime.delete_dead_letters(subject="order-1")

    system = System([make_workflow(fulfil), payment_handler(cautious), shipping])
    result, _ = run_runtime(system, work)

    assert result == BatchResult(matched=1, done=1)


def test_dead_letters_of_several_runs_with_one_id_are_refused() -> None:
    """The error names the runs, of which the caller chooses one."""
    begins = [
        order["1.0.0"].init(PlaceOrder("o1", 1.0), source=source, workflow_id="order-1")
        for source in ("com.shop.web", "com.other.web")
    ]

    async def work(runtime: Runtime) -> None:
        for event in begins:
            invalid = event.with_payload(FrozenDict({}), FrozenDict({"order_id": 1}))
            await runtime._send(invalid)
        await runtime.drain(timeout=60)
        with pytest.raises(Violated, match="several workflows have this id") as refused:
            await runtime.dead_letters(subject="order-1")
        assert all(event.subject in str(refused.value) for event in begins)

    run_runtime(System([make_workflow(fulfil), payments, shipping]), work)
