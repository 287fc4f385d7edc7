"""Limits: a slot has no more holders than places, and deliveries wait for it in order."""

from collections.abc import Awaitable, Callable
from typing import Final

from arvo.engine.limits import Slot
from arvo.interpreters.limits.port import HoldsLimits, SlotRequest
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.chains import CommitChain, CommitsChains
from arvo.interpreters.ports.messages import Delivery, Message, queue_of
from arvo.interpreters.ports.results import Committed
from arvo.interpreters.ports.services import ReleasesDeliveries
from arvo.testing.conformance.kit import NOT_DURABLE, BackendKit, conformance_test, skip
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    WORKFLOW,
    dead_letter,
    service_commit,
    to_service,
    to_workflow,
)

NO_LIMITS: Final = "it has no `acquire`: a runtime refuses to start with limits"
ONE: Final = Slot("one", 1)
TWO: Final = Slot("two", 2)
# One start in a time that no test waits for, and one that all of them do.
SELDOM: Final = Slot("seldom", 1, 86_400.0)
OFTEN: Final = Slot("often", 1, 0.05)

Settle = Callable[[Backend, Delivery], Awaitable[object]]


class Limits(BackendKit):
    """Tests of `HoldsLimits`."""

    @conformance_test
    async def test_a_slot_has_no_more_holders_than_places(self, backend: Backend) -> None:
        """The third of two waits, also where all three ask at once."""
        deliveries = [await self._deliver_new(backend, f"e{number}") for number in range(3)]

        assert await self._take_slots(backend, deliveries, TWO) == [True, True, False]

        await self.never(backend.receive(SERVICE), "a delivery whose slot is full")

    @conformance_test
    async def test_a_delivery_that_holds_its_slots_holds_them_once(self, backend: Backend) -> None:
        """A worker may ask twice: in a tick, and again in a task of its own."""
        delivery, other = [await self._deliver_new(backend, id_) for id_ in ("first", "second")]

        assert await self._take_slots(backend, [delivery], TWO) == [True]
        assert await self._take_slots(backend, [delivery], TWO) == [True]

        assert await self._take_slots(backend, [other], TWO) == [True]

    @conformance_test
    async def test_a_parked_delivery_is_delivered_when_a_place_is_free(
        self, backend: Backend
    ) -> None:
        """However the one before it is settled or returned; and it has used up no attempt."""
        for number, settle in enumerate(_settlements(backend)):
            held = await self._deliver_new(backend, f"first-{number}")
            waiting = await self._deliver_new(backend, f"second-{number}")
            assert await self._take_slots(backend, [held, waiting], ONE) == [True, False]

            await settle(backend, held)

            again = await self._deliver_next(backend, waiting.message)
            assert (again.attempt, again.deaths) == (1, 0)
            assert await self._take_slots(backend, [again], ONE) == [True]
            await backend.ack(again)

    @conformance_test
    async def test_a_chain_frees_the_slots_of_its_delivery(self, backend: Backend) -> None:
        """As a commit does."""
        if not isinstance(backend, CommitsChains):
            skip("it has no `commit_chains`")
        held, waiting = [await self._deliver_new(backend, id_) for id_ in ("first", "second")]
        assert await self._take_slots(backend, [held, waiting], ONE) == [True, False]
        chain = CommitChain(
            message=held.message, deliveries=(held,), commits=(service_commit(held, []),)
        )

        assert list(await backend.commit_chains([chain])) == [True]

        again = await self._deliver_next(backend, waiting.message)
        assert await self._take_slots(backend, [again], ONE) == [True]

    @conformance_test
    async def test_the_first_that_was_accepted_is_woken_first(self, backend: Backend) -> None:
        """One place is free: one delivery comes, and it is the oldest."""
        held = await self._deliver_new(backend, "held")
        waiting = [await self._deliver_new(backend, f"e{number}") for number in range(3)]
        await self._take_slots(backend, [held, *reversed(waiting)], ONE)

        for each in waiting:
            await backend.ack(held)
            held = await self._deliver_next(backend, each.message)
            assert await self._take_slots(backend, [held], ONE) == [True]

        await self.never(backend.receive(SERVICE), "a delivery that was not sent")

    @conformance_test
    async def test_one_that_finds_its_other_slot_full_lets_the_next_one_go(
        self, backend: Backend
    ) -> None:
        """It was woken for a place that it cannot use; nothing else would wake the next one."""
        first, blocking, both, next_ = [
            await self._deliver_new(backend, id_) for id_ in ("first", "blocking", "both", "next")
        ]
        assert await self._take_slots(backend, [first], ONE) == [True]
        assert await self._take_slots(backend, [both], ONE, SELDOM) == [False]
        assert await self._take_slots(backend, [next_], ONE) == [False]
        assert await self._take_slots(backend, [blocking], SELDOM) == [True]

        await backend.ack(first)
        woken = await self._deliver_next(backend, both.message)
        assert await self._take_slots(backend, [woken], ONE, SELDOM) == [False]

        again = await self._deliver_next(backend, next_.message)
        assert await self._take_slots(backend, [again], ONE) == [True]

    @conformance_test
    async def test_a_parked_delivery_holds_back_the_others_of_its_key(
        self, backend: Backend
    ) -> None:
        """I4: a workflow whose event waits for a slot takes no later event before it."""
        held = await self._deliver_new(backend, "held")
        for message in (to_workflow("a"), to_workflow("b"), to_workflow("c", "two")):
            await backend.send(message)
        first = await self._deliver_next(backend, to_workflow("a"))
        assert await self._take_slots(backend, [held, first], ONE) == [True, False]

        await self._deliver_next(backend, to_workflow("c", "two"))
        await self.never(backend.receive(WORKFLOW), "an event behind one that is parked")
        await backend.ack(held)

        again = await self._deliver_next(backend, to_workflow("a"))
        assert await self._take_slots(backend, [again], ONE) == [True]
        await backend.ack(again)
        await self._deliver_next(backend, to_workflow("b"))

    @conformance_test
    async def test_a_start_counts_when_its_delivery_is_settled(self, backend: Backend) -> None:
        """A rate limits how often events begin, however long they take."""
        first, second = [await self._deliver_new(backend, id_) for id_ in ("first", "second")]
        assert await self._take_slots(backend, [first], SELDOM) == [True]
        await backend.ack(first)

        assert await self._take_slots(backend, [second], SELDOM) == [False]

        await self.never(backend.receive(SERVICE), "a delivery above its rate")

    @conformance_test
    async def test_deliveries_above_a_rate_come_one_after_the_other(self, backend: Backend) -> None:
        """Each when a start counts no more, in the order in which they were accepted."""
        deliveries = [await self._deliver_new(backend, f"e{number}") for number in range(4)]
        assert (await self._take_slots(backend, deliveries, OFTEN))[0] is True

        for each in deliveries[1:]:
            await self._take_start(backend, each.message, OFTEN)

    @conformance_test
    async def test_a_slot_is_shared_by_processes(self, backend: Backend) -> None:
        """Two processes have one limit together, and one wakes what the other has parked."""
        self._share_limits(backend)
        held, waiting = [await self._deliver_new(backend, id_) for id_ in ("first", "second")]
        assert await self._take_slots(backend, [held], ONE) == [True]
        await backend.nack(waiting, 0.0)

        async with self.session() as other:
            other.limit([SERVICE])
            await other.send(to_service("third"))
            taken = await self._deliver_next(other, to_service("third"))
            assert await self._take_slots(other, [taken], ONE) == [False]

            await backend.ack(held)

            again = await self._deliver_next(other, to_service("third"))
            assert await self._take_slots(other, [again], ONE) == [True]

    @conformance_test
    async def test_a_process_that_ends_frees_its_slots(self, backend: Backend) -> None:
        """Else a limit of one would hold for ever."""
        self._share_limits(backend)
        held = await self._deliver_new(backend, "first")
        assert await self._take_slots(backend, [held], ONE) == [True]

        async with self.session() as other:
            await other.send(to_service("second"))
            waiting = await self._deliver_next(other, to_service("second"))
            assert await self._take_slots(other, [waiting], ONE) == [False]

            await backend.close()

            received = [await self._deliver_next(other, None) for _ in range(2)]
            assert await self._take_slots(other, received, ONE) == [True, False]

    async def _take_start(self, backend: Backend, message: Message, slot: Slot) -> None:
        """Receive a message until it gets a start."""

        async def begin() -> None:
            while True:
                delivery = await backend.receive(SERVICE)
                await delivery.message.load_data()
                assert delivery.message == message
                if await self._take_slots(backend, [delivery], slot) == [True]:
                    await backend.ack(delivery)
                    return

        await self.eventually(begin(), f"a start for {message.event.id}")

    async def _deliver_new(self, backend: Backend, id_: str) -> Delivery:
        # Each of these tests begins here: no other promise is theirs to check.
        if not isinstance(backend, HoldsLimits):
            skip(NO_LIMITS)
        await backend.send(to_service(id_))
        return await self._deliver_next(backend, to_service(id_))

    async def _deliver_next(self, backend: Backend, message: Message | None) -> Delivery:
        queue = SERVICE if message is None else queue_of(message.to)
        received = await self.eventually(backend.receive(queue), "a delivery")
        assert message is None or received.message == message
        return received

    async def _take_slots(
        self, backend: Backend, deliveries: list[Delivery], *slots: Slot
    ) -> list[bool]:
        assert isinstance(backend, HoldsLimits)
        return list(await backend.acquire([SlotRequest(each, slots) for each in deliveries]))

    def _share_limits(self, backend: Backend) -> None:
        if not isinstance(backend, HoldsLimits):
            skip(NO_LIMITS)
        if not self.is_durable:
            skip(NOT_DURABLE)
        backend.limit([SERVICE])


def _settlements(backend: Backend) -> list[Settle]:
    async def commit(backend: Backend, delivery: Delivery) -> None:
        assert await backend.commit(delivery, service_commit(delivery, []), [], []) == Committed()

    async def die(backend: Backend, delivery: Delivery) -> None:
        id_ = delivery.message.event.id
        entry = dead_letter(f"dead-{id_}", delivery.message.event)
        assert await backend.dead_letter(delivery, entry) == Committed()

    async def give_back(backend: Backend, delivery: Delivery) -> None:
        assert isinstance(backend, ReleasesDeliveries)
        await backend.release(delivery, 3_600.0)

    settlements: list[Settle] = [
        commit,
        die,
        lambda backend, delivery: backend.ack(delivery),
        lambda backend, delivery: backend.nack(delivery, 3_600.0),
        lambda backend, delivery: backend.defer(delivery, 3_600.0),
    ]
    return [*settlements, give_back] if isinstance(backend, ReleasesDeliveries) else settlements
