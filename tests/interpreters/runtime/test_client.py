"""Client: an operator lists, inspects and replays the workflows on a backend."""

import asyncio
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from arvo import (
    Client,
    Resumable,
    Runtime,
    System,
)
from arvo.core.payloads.frozen_json import FrozenDict
from tests.interpreters.runtime.running import On, Outage
from tests.shop import (
    SERVICES,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    OrderState,
    PlaceOrder,
    ShipmentBooked,
    fulfil,
    fulfilment,
    order,
    order_request,
    payments,
    shipping,
    shop,
)

ORDER = "arvo.orc.order.fulfil"


SUBJECT = order_request().subject


def test_a_probe_returns_whether_the_backend_is_reachable(tmp_path: Path) -> None:
    """A probe wants a yes or a no, and no exception."""

    async def is_reachable(url: str) -> bool:
        async with Client(shop, url) as client:
            return await client.is_reachable()

    assert asyncio.run(is_reachable("memory:"))
    assert asyncio.run(is_reachable(f"sqlite:///{tmp_path / 'arvo.db'}"))
    assert not asyncio.run(is_reachable(f"sqlite:///{tmp_path / 'nowhere' / 'arvo.db'}"))
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"not a database, and too long to be an empty one" * 99)
    assert not asyncio.run(is_reachable(f"sqlite:///{damaged}"))


def test_workflows_are_listed_by_type_status_and_time_of_their_last_change(on: On) -> None:
    """The first thing that an operator looks at."""

    async def work(runtime: Runtime) -> None:
        for key in ("a", "b"):
            await runtime.request(order_request(key), timeout=60)
        done = await runtime.workflows(status="done", type=ORDER)

        assert [workflow.record.init for workflow in done] == ["b", "a"]
        assert await runtime.workflows(status="failed") == ()
        assert await runtime.workflows(limit=1, after=done[0]) == (done[1],)
        later = done[0].changed + timedelta(seconds=1)
        assert len(await runtime.workflows(unchanged_since=later)) == 2
        assert await runtime.workflows(unchanged_since=done[1].changed) == ()
        assert str(done[0]).startswith("arvo.orc.order.fulfil 1.0.0  done  since ")

    on(shop, work)


def test_a_history_is_read_to_its_beginning(on: On) -> None:
    """Every event, in order."""

    async def work(runtime: Runtime) -> None:
        await runtime.request(order_request(), timeout=60)

        lines = await runtime.history(SUBJECT)

        assert [line.position for line in lines] == list(range(6))
        assert [line.kind for line in lines] == ["consumed", "produced"] * 3

    on(shop, work)


@pytest.mark.promise("I3")
def test_a_replay_of_a_stored_history_gives_the_same_record(on: On) -> None:
    """Ids, times and timers are the same after they went through the store (promise I3)."""
    system = Outage().system

    async def work(runtime: Runtime) -> None:
        await runtime.send(order_request())
        await runtime.drain(timeout=60)

        replayed = await runtime.replay(SUBJECT)

        assert str(replayed).splitlines() == [
            "turn 1, on arvo.orc.order.fulfil: agrees, sends com.payment.charge",
            "turn 2, on evt.payment.charged: agrees, sends com.shipping.book",
            "turn 3, on evt.shipping.booked: agrees, sends nothing",
        ]
        assert replayed.agrees
        assert replayed.record == await runtime.record(SUBJECT)

    on(system, work)


def test_a_client_inspects_while_another_process_works(tmp_path: Path) -> None:
    """An operator's shell needs no handlers, and processes nothing."""

    async def go() -> None:
        url = f"sqlite:///{tmp_path / 'arvo.db'}"
        async with Runtime(shop, url) as runtime, Client(System([]), url) as client:
            await runtime.request(order_request(), timeout=60)
            [stored] = await client.workflows()
            assert stored.record == await runtime.record(SUBJECT)
            assert (await client.describe(SUBJECT)).record == stored.record
        async with Client(System([fulfilment]), url) as client:
            await client.send(order_request("later"))
        async with Runtime(shop, url) as runtime:
            await runtime.drain(timeout=60)
            assert [workflow.record.init for workflow in await runtime.workflows()] == [
                "later",
                "i1",
            ]

    asyncio.run(go())


def test_the_history_has_payload_classes_on_every_backend(on: On) -> None:
    """A tool that is written against the memory backend works on a database."""

    async def work(runtime: Runtime) -> None:
        await runtime.request(order_request(), timeout=60)
        history = await runtime.history(SUBJECT)

        assert [type(entry.event.data) for entry in history if entry.event is not None] == [
            PlaceOrder, ChargeCard, CardCharged, BookShipment, ShipmentBooked, OrderFulfilled,
        ]  # fmt: skip

    on(shop, work)


def test_the_history_of_an_unknown_contract_has_mappings_on_every_backend(on: On) -> None:
    """`arvo history` runs without the handlers of the system."""

    async def work(runtime: Runtime) -> None:
        await runtime.request(order_request(), timeout=60)
        client = Client(System([]), runtime._backend)
        history = await client.history(SUBJECT)

        assert {type(entry.event.data) for entry in history if entry.event} == {FrozenDict}
        assert [entry.event for entry in history] == [
            entry.event for entry in await runtime.history(SUBJECT)
        ]

    on(shop, work)


class Colour(str, Enum):  # noqa: UP042 - the text of a `StrEnum` is its value
    RED = "red"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"labels": {"colour": Colour.RED}}, 1),  # whose text is `Colour.RED`
        ({"labels": {"colour": None}}, 0),  # no workflow is labelled with nothing
        ({"text": "red"}, 1),
        ({"text": "\n"}, 0),  # stores separate labels by it
        ({"text": "\ud800"}, 0),  # stores cannot write it
        ({"text": None}, 1),
        ({"version": "1.0.0"}, 1),
        ({"version": "2.0.0"}, 0),
        ({"version": None}, 1),
    ],
)
def test_filters_take_what_a_form_or_a_shell_sends(on: On, filters: Any, found: int) -> None:
    """And find no workflow by what no label has."""
    handler = Resumable(
        order,
        {"1.0.0": fulfil},
        services=SERVICES,
        state=OrderState,
        labels=lambda _: {"colour": Colour.RED},
    )

    async def work(runtime: Runtime) -> None:
        await runtime.request(order_request(), timeout=60)

        assert len(await runtime.workflows(**filters)) == found

    on(System([payments, shipping, handler]), work)
