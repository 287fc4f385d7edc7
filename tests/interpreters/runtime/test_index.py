"""Index: what a client does with lists and histories is the same on pairs as elsewhere."""

from collections.abc import Callable
from typing import Any

import pytest

from arvo import Backend, Commands, Complete, Emit, Fail, Persist, Runtime, System, Turn, Violated
from arvo.core.events.subject import workflow_id_of
from arvo.interpreters.ports.backend import find_outputs
from tests.core.contracts.test_versioned_workflow import begin
from tests.interpreters.runtime.running import run_runtime
from tests.shop import CardCharged, ChargeCard, OrderFulfilled, PlaceOrder, make_workflow, payments


def test_workflows_are_listed_revived_and_replayed(open_backend: Callable[[], Backend]) -> None:
    """A pair without an index says so; on all other backends an operator mends what has failed."""
    broken = [True]

    def fulfil(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder(order_id=order_id, amount=amount):
                return Persist(order_id), Emit(ChargeCard(order_id, amount))
            case CardCharged() if broken[0]:
                return Fail("the shop is broken")
            case _:
                return Complete(OrderFulfilled("t"))

    async def ids(runtime: Runtime, **filters: Any) -> list[str]:
        page = await runtime.workflows(**filters)
        return [workflow_id_of(stored.record.subject) for stored in page]

    async def work(runtime: Runtime) -> None:
        for number in (1, 2, 3):
            await runtime.send(begin(float(number), workflow_id=f"order-{number}"))
        await runtime.drain(timeout=60)
        if find_outputs(runtime.backend) is not None:
            with pytest.raises(Violated, match="a pair with an index"):
                await runtime.workflows(status="failed")
            return
        failed = await ids(runtime, status="failed")
        assert sorted(failed) == ["order-1", "order-2", "order-3"]
        broken[0] = False

        await runtime.revive("order-2")
        await runtime.drain(timeout=60)

        assert await ids(runtime) == ["order-2", *(id_ for id_ in failed if id_ != "order-2")]
        assert await ids(runtime, status="done", type="arvo.orc.order.fulfil") == ["order-2"]
        assert await ids(runtime, text="der-3") == ["order-3"]
        first = await runtime.workflows(status="failed", limit=1)
        assert (
            await ids(runtime, status="failed", after=first[0])
            == [id_ for id_ in failed if id_ != "order-2"][1:]
        )
        kinds = [entry.kind for entry in await runtime.history("order-2")]
        assert kinds.count("replaced") == 1
        assert kinds.count("consumed") == 3
        assert (await runtime.replay("order-2", until=1)).agrees

    run_runtime(System([payments, make_workflow(fulfil)]), work, backend=open_backend())
