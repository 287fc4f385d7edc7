"""Dead letters: events that could not be handled, stored with a reason until an operator acts."""

from attrs import evolve

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ContractViolation
from arvo.interpreters.ports.backend import Backend
from arvo.testing.conformance.kit import BackendKit, conformance_test
from arvo.testing.conformance.samples import SERVICE, dead_letter, event, to_service


class DeadLetters(BackendKit):
    """Tests of `dead_letter`, `dead_letters` and `redrive`."""

    @conformance_test
    async def test_a_dead_letter_preserves_all_its_fields(self, backend: Backend) -> None:
        """I8: event, reason, attempts and violation are stored; the delivery is settled."""
        await backend.send(to_service("bad"))
        delivery = await self.eventually(backend.receive(SERVICE), "the event")
        violation = ContractViolation("data", (Issue("data.key", "a number", "'bad'"),))
        failed = dead_letter("dead-1", delivery.message.event, delivery.message.to)
        failed = evolve(failed, violation=violation)

        await backend.dead_letter(delivery, failed)

        assert await backend.dead_letters() == (failed,)
        await self.eventually(backend.wait_until_idle(), "the backend is idle")

    @conformance_test
    async def test_dead_letters_are_listed_oldest_first(self, backend: Backend) -> None:
        """Dead letters without a delivery are listed too."""
        times = [f"2026-01-02T03:04:0{second}.000+00:00" for second in range(3)]
        failed = tuple(dead_letter(f"dead-{at}", event(f"e{at}"), at=at) for at in times)

        for one in failed:
            await backend.dead_letter(None, one)

        assert await backend.dead_letters() == failed

    @conformance_test
    async def test_a_dead_letter_is_redriven_or_deleted_once(self, backend: Backend) -> None:
        """It is removed and its messages are sent, both or neither, and only once."""
        await backend.dead_letter(None, dead_letter("dead-1", event("e1")))
        await backend.dead_letter(None, dead_letter("dead-2", event("e2")))

        assert await backend.redrive("dead-1", [to_service("e1")]) is True
        assert await backend.redrive("dead-1", [to_service("e1")]) is False
        assert await backend.redrive("dead-2", []) is True
        assert await backend.redrive("unknown", [to_service("e3")]) is False

        assert await backend.dead_letters() == ()
        redriven = await self.eventually(backend.receive(SERVICE), "the redriven event")
        assert redriven.message == to_service("e1")
        await self.never(backend.receive(SERVICE), "an event that was not redriven")
