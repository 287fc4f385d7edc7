"""Request timeouts: the error says whether the event was taken, and how far it has come."""

import asyncio
from typing import Any

import attrs
import pytest

from arvo import (
    Emit,
    Event,
    MemoryBackend,
    Record,
    Runtime,
    System,
)
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.messages import Message
from arvo.interpreters.runtime import requests
from tests.interpreters.runtime.running import (
    Replaced,
    emit_to_domain,
    new_backend,
    refuse_chains,
    within,
)
from tests.interpreters.until import until
from tests.shop import (
    WEB,
    CardCharged,
    ChargeCard,
    charge_request,
    make_workflow,
    order_request,
    payment_handler,
    shop,
)

pytestmark = pytest.mark.usefixtures("each_backend")


def skip_time(seconds: float) -> None:
    """Move the clock of the event loop forward, so that its timeouts expire."""
    loop = asyncio.get_running_loop()
    real_time = loop.time
    loop.time = lambda: real_time() + seconds  # type: ignore[method-assign]


async def wait_for_record(runtime: Runtime) -> None:
    for _ in range(100_000):
        if await runtime.record(order_request().subject) is not None:
            return
        await asyncio.sleep(0.001)


# Its request for payment gets no answer.
UNANSWERED = System(
    [
        make_workflow(lambda _: Emit(ChargeCard("o", 1.0))),
        payment_handler(lambda _: None),
    ]
)


def test_a_request_that_times_out_reports_the_progress_of_its_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The work continues; an operator sees which reply is missing."""
    monkeypatch.setattr(requests, "PROGRESS_SECONDS_MAX", 100.0)

    async def go() -> str:
        async with Runtime(UNANSWERED, new_backend()) as runtime:
            requesting = asyncio.create_task(runtime.request(order_request(), timeout=60))
            await wait_for_record(runtime)
            # The record can be read before the commit has returned to the sender.
            await runtime.drain(timeout=60)
            skip_time(60)
            with pytest.raises(TimeoutError) as late:
                await requesting
            return str(late.value)

    message = within(go(), seconds=300)

    assert message.startswith("event 'i1' was not answered within 60 s; its workflow is active")


@attrs.define
class SendsSlowly:
    """A memory backend that accepts an event, and returns from `send` only when it is released."""

    released: asyncio.Event = attrs.field(factory=asyncio.Event)
    inner: MemoryBackend = attrs.field(factory=MemoryBackend)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def commit_chains(self, chains: Any) -> list[bool]:
        return await refuse_chains(chains)

    async def send(self, message: Message) -> None:
        await self.inner.send(message)
        await self.released.wait()


def test_a_request_that_times_out_while_it_is_sent_may_have_been_taken() -> None:
    """A slow store is not a full queue. The event may be handled, so it is no loss to report."""

    async def go() -> str:
        backend: Any = SendsSlowly()
        async with Runtime(UNANSWERED, backend) as runtime:
            requesting = asyncio.create_task(runtime.request(order_request(), timeout=60))
            await wait_for_record(runtime)
            skip_time(60)
            with pytest.raises(TimeoutError) as late:
                await requesting
            return str(late.value)

    message = within(go(), seconds=300)

    assert message.startswith(
        "event 'i1' was still being sent after 60 s and may have been taken: "
        "send the same event again, it will be handled once; its workflow is active"
    )


def test_a_request_that_was_answered_while_it_was_sent_returns_the_answer() -> None:
    """The answer proves that the slow store has taken the event."""

    async def go() -> object:
        backend: Any = SendsSlowly()
        async with Runtime(shop, backend) as runtime:
            event = charge_request(redirectto=WEB)
            requesting = asyncio.create_task(runtime.request(event, timeout=60))
            await until(lambda: runtime.stats().answered == 1)
            skip_time(60)
            return (await requesting).data

    assert within(go(), seconds=300) == CardCharged("r-o1")


def test_a_request_that_times_out_does_not_wait_for_a_store_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The report of its progress is bounded as well."""
    monkeypatch.setattr(requests, "PROGRESS_SECONDS_MAX", 0.01)

    async def load(_: str) -> Record | None:
        await asyncio.Event().wait()
        return None

    async def go() -> str:
        async with Runtime(UNANSWERED, MemoryBackend()) as runtime:
            monkeypatch.setattr(runtime._requests, "backend", Replaced(MemoryBackend(), load=load))
            with pytest.raises(TimeoutError) as late:
                await runtime.request(order_request(), timeout=0.01)
            return str(late.value)

    assert within(go(), seconds=60).endswith("; the store does not answer")


def test_a_request_that_finds_no_room_was_certainly_not_taken() -> None:
    """The sender has to send the event again."""

    async def work() -> str:
        never = asyncio.Event()

        async def block(_: Event[Any]) -> None:
            await never.wait()

        async with Runtime(emit_to_domain("human"), MemoryBackend(queue_max=1)) as runtime:
            runtime.on_domain("human")(block)
            await runtime.send(charge_request("c1"))
            with pytest.raises(Unavailable) as full:
                await runtime.request(charge_request("c2"), timeout=0.05)
            never.set()
        return str(full.value)

    assert (
        within(work())
        == "event 'c2' was not taken: the backend had no room, or did not answer, within 0.05 s"
    )
