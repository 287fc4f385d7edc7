"""Values: unusual and large values are stored and delivered unchanged."""

from collections.abc import Awaitable
from typing import Any, Final

from attrs import evolve

from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.core.events.size import size_in_bytes
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.errors import TooLarge
from arvo.interpreters.ports.results import Committed, Duplicate
from arvo.testing.conformance.kit import (
    NO_OFFLOADS,
    OFFLOADS,
    BackendKit,
    conformance_test,
    skip,
)
from arvo.testing.conformance.kit.samples import (
    SERVICE,
    TIME,
    WORKFLOW,
    dead_letter,
    event,
    record,
    subject,
    to_service,
    to_workflow,
    turn_commit,
)

LARGE_BYTES: Final = 5 * 1024 * 1024
# Below EVENT_BYTES_MAX, the limit of an event.
LARGE_EVENT_BYTES: Final = 900 * 1024
DEPTH: Final = 40


def _nested(depth: int) -> Any:
    return {"in": _nested(depth - 1)} if depth else "deep"


UNUSUAL: Final[dict[str, Any]] = {
    "": "empty name",
    "text": "\x00 ' \" \\ \u2028 é 漢字 🧵 \ufeff مرحبا",
    "numbers": [0, -1, 2**53, -(2**53), 0.1, 1e-300, 1e300],
    "nothing": None,
    "truth": [True, False],
    "empty": [{}, [], ""],
    "'; drop table record; --": "$1 %s {0} :name",
    "deep": _nested(DEPTH),
}


# Control characters and escape codes, bidirectional controls, markup, and what ends a line or a
# text in some protocol or language.
HOSTILE: Final = (
    "a\x00b\r\nERROR c\x1b[2J\x1b]0;title\x07\x9b31m\x7f\u202egnp\u2028"
    "<script>alert(1)</script> & \"'`${x}%00%0d%0a"
)


class Values(BackendKit):
    """Tests that no operation changes a value."""

    @conformance_test
    async def test_control_characters_round_trip(self, backend: Backend) -> None:
        """In the id and the attributes of an event, its payload, and the reason of a dead letter.

        They are escaped where a person reads them, and nowhere else.
        """
        message = to_service(
            HOSTILE,
            data={HOSTILE: HOSTILE},
            extensions={"kitnote": HOSTILE},
            accesscontrol=HOSTILE,
            parentid=HOSTILE,
            traceparent=HOSTILE,
            tracestate=HOSTILE,
        )
        await backend.send(message)
        delivery = await self.eventually(backend.receive(SERVICE), "the hostile event")
        assert delivery.message.event.to_dict() == message.event.to_dict()
        failed = evolve(dead_letter("dead-1", delivery.message.event), reason=HOSTILE)

        await backend.dead_letter(delivery, failed)

        assert await backend.dead_letters() == (failed,)
        assert await backend.redrive("dead-1", []) is True

    @conformance_test
    async def test_a_record_with_control_characters_round_trips(self, backend: Backend) -> None:
        """In all texts that come from outside: ids of events and requests, names of timers, state.

        The same event is still recognised when it is delivered again.
        """
        changes: dict[str, Any] = {
            "consumed": HOSTILE,
            "init": HOSTILE,
            "state": {HOSTILE: HOSTILE},
            "pending_requests": {
                HOSTILE: {
                    "to": HOSTILE,
                    "type": HOSTILE,
                    "dataschema": HOSTILE,
                    "domain": None,
                }
            },
            "timers": {HOSTILE: {"id": HOSTILE, "at": TIME, "payload": {HOSTILE: HOSTILE}}},
        }
        for revision, expected in ((1, Committed()), (2, Duplicate())):
            await backend.send(to_workflow(HOSTILE))
            delivery = await self.eventually(backend.receive(WORKFLOW), "the hostile event")
            commit = evolve(turn_commit(delivery, revision), record=record(revision, **changes))
            assert await backend.commit(delivery, commit, [], []) == expected

        assert await backend.load(subject()) == record(1, **changes)
        if self.supports_listing:
            [entry] = await backend.history(subject())
            assert entry.event == to_workflow(HOSTILE).event

    @conformance_test
    async def test_unusual_values_round_trip(self, backend: Backend) -> None:
        """In events, dead letters, subjects and ids."""
        key = "id ' \" \\ 漢字 🧵"
        extensions = {"kitnote": "ünï", "kitcount": 7, "kitflag": True}
        message = to_service(key, data=UNUSUAL, extensions=extensions, traceparent="00-1-2-01")
        await backend.send(message)
        delivery = await self.eventually(backend.receive(SERVICE), "the unusual event")
        assert delivery.message == message
        assert delivery.message.event.to_dict() == message.event.to_dict()
        failed = dead_letter(key, delivery.message.event)

        await backend.dead_letter(delivery, failed)

        assert await backend.dead_letters() == (failed,)
        assert await backend.redrive(key, []) is True

    @conformance_test
    async def test_an_unusual_record_round_trips(self, backend: Backend) -> None:
        """Under a subject with unusual characters."""
        run = "漢字 ' 🧵"
        await backend.send(to_workflow("begin", run=run))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the event")
        commit = turn_commit(delivery, 1, run=run, state=UNUSUAL)

        assert await backend.commit(delivery, commit, [], []) == Committed()

        assert await backend.load(subject(run)) == record(1, run, state=UNUSUAL)

    @conformance_test
    async def test_a_large_record_and_a_large_event_round_trip(self, backend: Backend) -> None:
        """Five megabytes of state, and an event near the size limit."""
        state = {"text": "é" * (LARGE_BYTES // 2)}
        large = to_service("large", data={"text": "x" * LARGE_EVENT_BYTES})
        await backend.send(to_workflow("begin"))
        delivery = await self.eventually(backend.receive(WORKFLOW), "the event")
        commit = turn_commit(delivery, 1, state=state, messages=[large])

        assert await backend.commit(delivery, commit, [large], []) == Committed()

        assert await backend.load(subject()) == record(1, state=state)
        received = await self.eventually(backend.receive(SERVICE), "the large event")
        assert received.message.event.data == event("large", data=large.event.data).data

    @conformance_test
    async def test_an_event_of_the_largest_size_is_delivered(self, backend: Backend) -> None:
        """The limit is the same on every backend, and every reader accepts what was sent."""
        largest = to_service("largest", data={"text": _text_up_to(EVENT_BYTES_MAX, "largest")})
        assert size_in_bytes(largest.event) == EVENT_BYTES_MAX

        await backend.send(largest)

        received = await self.eventually(backend.receive(SERVICE), "the largest event")
        assert received.message == largest

    @conformance_test
    async def test_a_larger_event_is_refused(self, backend: Backend) -> None:
        """Readers refuse it, so a backend that accepted it would lose it."""
        if self.offloads:
            skip(OFFLOADS)
        larger = to_service("larger", data={"text": _text_up_to(EVENT_BYTES_MAX, "larger") + "x"})
        await backend.dead_letter(None, dead_letter("dead-1", event("e1")))

        await self._expect_too_large(backend.send(larger))
        await self._expect_too_large(backend.redrive("dead-1", [larger]))

        assert [each.id for each in await backend.dead_letters()] == ["dead-1"]
        await self.never(backend.receive(SERVICE), "the event that is too large")

    @conformance_test
    async def test_an_event_with_offloaded_data_is_delivered(self, backend: Backend) -> None:
        """The limit is for what travels: a reference, in place of data in a blob store."""
        if not self.offloads:
            skip(NO_OFFLOADS)
        larger = to_service("larger", data={"text": "é" * LARGE_BYTES})
        await backend.send(larger)

        received = await self.eventually(backend.receive(SERVICE), "the event with large data")

        assert received.message == larger
        assert received.message.event.data == larger.event.data

    async def _expect_too_large(self, operation: Awaitable[object]) -> None:
        try:
            await operation
        except TooLarge as error:
            assert str(EVENT_BYTES_MAX) in str(error)  # noqa: PT017 - no pytest in the shipped kit
            return
        raise AssertionError("an event above EVENT_BYTES_MAX was accepted")


def _text_up_to(size: int, key: str) -> str:
    """Return a text with which the event of the test has *size* bytes."""
    return "x" * (size - size_in_bytes(event("e" * len(key), data={"text": ""})))
