"""Values: what comes out is what went in, however odd or large."""

from typing import Any, Final

from arvo.interpreters.ports.backend import Backend, Committed
from arvo.testing.conformance.kit import BackendKit, conforms
from arvo.testing.conformance.samples import (
    SERVICE,
    WORKFLOW,
    event,
    letter,
    record,
    subject,
    to_service,
    to_workflow,
    turn,
)

LARGE_BYTES: Final = 5 * 1024 * 1024
# An event may not be larger: see EVENT_BYTES_MAX.
LARGE_EVENT_BYTES: Final = 900 * 1024
DEPTH: Final = 40


def _deep(depth: int) -> Any:
    return {"in": _deep(depth - 1)} if depth else "deep"


ODD: Final[dict[str, Any]] = {
    "": "empty name",
    "text": "\x00 ' \" \\ \u2028 é 漢字 🧵 \ufeff مرحبا",
    "numbers": [0, -1, 2**53, -(2**53), 0.1, 1e-300, 1e300],
    "nothing": None,
    "truth": [True, False],
    "empty": [{}, [], ""],
    "'; drop table record; --": "$1 %s {0} :name",
    "deep": _deep(DEPTH),
}


class Values(BackendKit):
    """What every operation owes to whatever it is given."""

    @conforms
    async def test_odd_values_come_back_as_they_were(self, backend: Backend) -> None:
        """In events, records, dead letters, subjects and ids."""
        key = "id ' \" \\ 漢字 🧵"
        extensions = {"kitnote": "ünï", "kitcount": 7, "kitflag": True}
        message = to_service(key, data=ODD, extensions=extensions, traceparent="00-1-2-01")
        await backend.send(message)
        delivery = await self.soon(backend.receive(SERVICE), "the odd event")
        assert delivery.message == message
        assert delivery.message.event.to_dict() == message.event.to_dict()
        buried = letter(key, delivery.message.event)

        await backend.dead_letter(delivery, buried)

        assert await backend.dead_letters() == (buried,)
        assert await backend.redrive(key, []) is True

    @conforms
    async def test_an_odd_record_comes_back_as_it_was(self, backend: Backend) -> None:
        """Under a subject of odd characters."""
        run = "漢字 ' 🧵"
        await backend.send(to_workflow("begin", run=run))
        delivery = await self.soon(backend.receive(WORKFLOW), "the event")
        commit = turn(delivery, 1, run=run, state=ODD)

        assert await backend.commit(delivery, commit, [], []) == Committed()

        assert await backend.load(subject(run)) == record(1, run, state=ODD)

    @conforms
    async def test_a_large_record_and_a_large_event_come_back(self, backend: Backend) -> None:
        """Five megabytes of state, and as much as an event may hold."""
        state = {"text": "é" * (LARGE_BYTES // 2)}
        large = to_service("large", data={"text": "x" * LARGE_EVENT_BYTES})
        await backend.send(to_workflow("begin"))
        delivery = await self.soon(backend.receive(WORKFLOW), "the event")
        commit = turn(delivery, 1, state=state, posts=[large])

        assert await backend.commit(delivery, commit, [large], []) == Committed()

        assert await backend.load(subject()) == record(1, state=state)
        found = await self.soon(backend.receive(SERVICE), "the large event")
        assert found.message.event.data == event("large", data=large.event.data).data
