"""Groups: deliveries of several priorities and fairness keys wait for a slot in turn."""

from typing import Final

from attrs import evolve

from arvo.engine.limits import Slot
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import Delivery
from arvo.testing.conformance.kit import conformance_test
from arvo.testing.conformance.kit.samples import SERVICE, WORKFLOW, to_workflow
from arvo.testing.conformance.limits.limits import ONE, Limits

# Of a customer with many events, and of another one.
MANY: Final = evolve(ONE, group="0 many")
FEW: Final = evolve(ONE, group="0 few")
# Priority 1 has twice the share of priority 0.
URGENT: Final = evolve(ONE, group="1 many", priority=1)
MOST_URGENT: Final = evolve(ONE, group="9 many", priority=9)


class LimitGroups(Limits):
    """Tests of the priorities and the fairness keys of limits."""

    @conformance_test
    async def test_groups_of_one_priority_come_in_turn(self, backend: Backend) -> None:
        """However many of one wait: those of another wait for as many of it as of their own."""
        slots = [MANY] * 6 + [FEW] * 2
        held, *waiting = await self._park(backend, slots)

        _check_shares(slots, await self._order(backend, held, waiting, slots))

    @conformance_test
    async def test_a_higher_priority_has_a_larger_share(self, backend: Backend) -> None:
        """Each twice that of the one below; so none waits for ever."""
        slots = [MANY] * 3 + [URGENT] * 8
        held, *waiting = await self._park(backend, slots)

        order = await self._order(backend, held, waiting, slots)

        _check_shares(slots, order)
        # They came last, and have passed all but those that their share leaves before them.
        assert order.index(5) < order.index(2)

    @conformance_test
    async def test_a_group_that_comes_later_has_no_claim_to_the_past(
        self, backend: Backend
    ) -> None:
        """It begins beside the one that waits first now."""
        slots = [MANY] * 6
        held, *waiting = await self._park(backend, slots)
        for each in waiting[:4]:
            held = await self._pass_on(backend, held, each)
        late = [await self._deliver_new(backend, f"late-{number}") for number in range(4)]
        for each in late:
            assert await self._take_slots(backend, [each], FEW) == [False]

        slots = [MANY] * 2 + [FEW] * 4
        _check_shares(slots, await self._order(backend, held, [*waiting[4:], *late], slots))

    @conformance_test
    async def test_none_that_comes_passes_those_that_wait(self, backend: Backend) -> None:
        """The place that is free belongs to the delivery that was woken for it."""
        held, waiting = await self._park(backend, [MANY])
        late = await self._deliver_new(backend, "late")

        await backend.ack(held)
        assert await self._take_slots(backend, [late], MOST_URGENT) == [False]

        woken = await self._deliver_next(backend, waiting.message)
        assert await self._take_slots(backend, [woken], MANY) == [True]
        await self._pass_on(backend, woken, late)

    @conformance_test
    async def test_a_priority_does_not_break_the_order_of_a_key(self, backend: Backend) -> None:
        """I4: the urgent event of a workflow waits behind the one before it."""
        held = await self._deliver_new(backend, "held")
        for id_ in ("first", "urgent"):
            await backend.send(to_workflow(id_))
        first = await self._deliver_next(backend, to_workflow("first"))
        assert await self._take_slots(backend, [held], MANY) == [True]
        assert await self._take_slots(backend, [first], MANY) == [False]
        await self.never(backend.receive(WORKFLOW), "an urgent event behind one that is parked")

        await backend.ack(held)

        again = await self._deliver_next(backend, to_workflow("first"))
        assert await self._take_slots(backend, [again], MANY) == [True]
        await backend.ack(again)
        urgent = await self._deliver_next(backend, to_workflow("urgent"))
        assert await self._take_slots(backend, [urgent], MOST_URGENT) == [True]

    async def _park(self, backend: Backend, slots: list[Slot]) -> list[Delivery]:
        """Return a delivery that holds the only place, and those that wait for it in this order."""
        held = await self._deliver_new(backend, "held")
        assert await self._take_slots(backend, [held], ONE) == [True]
        waiting = [await self._deliver_new(backend, f"e{number}") for number in range(len(slots))]
        for each, slot in zip(waiting, slots, strict=True):
            assert await self._take_slots(backend, [each], slot) == [False]
        return [held, *waiting]

    async def _order(
        self, backend: Backend, held: Delivery, waiting: list[Delivery], slots: list[Slot]
    ) -> list[int]:
        """Return the order in which deliveries that wait for the place of *held* are woken."""
        ids = [each.message.event.id for each in waiting]
        order: list[int] = []
        for _ in slots:
            await backend.ack(held)
            held = await self.eventually(backend.receive(SERVICE), "a delivery")
            order.append(ids.index(held.message.event.id))
            assert await self._take_slots(backend, [held], slots[order[-1]]) == [True]
        return order

    async def _pass_on(self, backend: Backend, held: Delivery, expected: Delivery) -> Delivery:
        """Settle a delivery, and let the next one take its place."""
        await backend.ack(held)
        woken = await self._deliver_next(backend, expected.message)
        assert await self._take_slots(backend, [woken], ONE) == [True]
        return woken


def _check_shares(slots: list[Slot], order: list[int]) -> None:
    """Check the order in which deliveries were woken that had begun to wait in that of *slots*."""
    for place, number in enumerate(order):
        slot = slots[number]
        passed = [slots[other] for other in order[:place]]
        position = 1 + sum(other.group == slot.group for other in slots[:number])
        for group in {each.group: each for each in slots}.values():
            count = sum(other.group == group.group for other in passed)
            if group.group == slot.group:
                assert count == position - 1, f"{order}: a group is not in order"
                continue
            share = position * 2 ** (group.priority - slot.priority) + 1
            assert count <= share, f"{order}: {number} waits for more than {share} of {group.group}"
