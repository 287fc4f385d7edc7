"""Letters: what nobody could take is kept, with its reason, until a person decides."""

from attrs import evolve

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ContractViolation
from arvo.interpreters.ports.backend import Backend
from arvo.testing.conformance.kit import BackendKit, conforms
from arvo.testing.conformance.samples import SERVICE, event, letter, to_service


class Letters(BackendKit):
    """What `dead_letter`, `dead_letters` and `redrive` owe."""

    @conforms
    async def test_a_dead_letter_keeps_everything(self, backend: Backend) -> None:
        """I8: event, reason, attempts, and which promise was broken; its delivery is settled."""
        await backend.send(to_service("bad"))
        delivery = await self.soon(backend.receive(SERVICE), "the event")
        violation = ContractViolation("data", (Issue("data.key", "a number", "'bad'"),))
        kept = letter("dead-1", delivery.message.event, delivery.message.to)
        kept = evolve(kept, violation=violation)

        await backend.dead_letter(delivery, kept)

        assert await backend.dead_letters() == (kept,)
        await self.soon(backend.wait_until_idle(), "rest")

    @conforms
    async def test_dead_letters_are_listed_oldest_first(self, backend: Backend) -> None:
        """Also those that belong to no delivery."""
        times = [f"2026-01-02T03:04:0{second}.000+00:00" for second in range(3)]
        dead_letters = tuple(letter(f"dead-{at}", event(f"e{at}"), at=at) for at in times)

        for each in dead_letters:
            await backend.dead_letter(None, each)

        assert await backend.dead_letters() == dead_letters

    @conforms
    async def test_a_dead_letter_is_sent_again_or_dropped(self, backend: Backend) -> None:
        """Whole or not at all: taken out and sent, once."""
        await backend.dead_letter(None, letter("dead-1", event("e1")))
        await backend.dead_letter(None, letter("dead-2", event("e2")))

        assert await backend.redrive("dead-1", [to_service("e1")]) is True
        assert await backend.redrive("dead-1", [to_service("e1")]) is False
        assert await backend.redrive("dead-2", []) is True
        assert await backend.redrive("nobody", [to_service("e3")]) is False

        assert await backend.dead_letters() == ()
        found = await self.soon(backend.receive(SERVICE), "what was sent again")
        assert found.message == to_service("e1")
        await self.never(backend.receive(SERVICE), "more than was sent again")
