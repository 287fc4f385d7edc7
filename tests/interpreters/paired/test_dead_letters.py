"""Dead letters: a store of them in a memory that cannot list."""

import asyncio
from collections.abc import Sequence

import pytest
from attrs import evolve

from arvo import ConfigViolation, DeadLetter, InMemoryMachineMemory
from arvo.engine.step.route import ToHandler
from arvo.interpreters.delivery.operations import DeadLetterQuery
from arvo.interpreters.paired.dead_letters import (
    PAGE_BYTES_MAX,
    PAGE_DEAD_LETTERS_MAX,
    PAGES,
    DeadLetterStore,
    page_of,
)
from arvo.testing.conformance.kit.samples import recent
from tests.logged import logged
from tests.shop import charge_request

PAY = ToHandler("com.payment.charge", None)


def dead_letter(n: int) -> DeadLetter:
    return DeadLetter(
        id=f"d{n}",
        event=charge_request(f"c{n}"),
        reason="no bank",
        attempts=2,
        at=recent(n % 60),
        to=PAY,
        violation=ConfigViolation("no bank"),
    )


def store(dead_letters: Sequence[DeadLetter]) -> tuple[DeadLetter, ...]:
    """Store dead letters concurrently, and list them."""

    async def go() -> tuple[DeadLetter, ...]:
        memory = InMemoryMachineMemory()
        await asyncio.gather(*(DeadLetterStore(memory).add(one) for one in dead_letters))
        return await DeadLetterStore(memory).list(DeadLetterQuery(limit=PAGES * 100))

    return asyncio.run(go())


def test_dead_letters_are_listed_oldest_first() -> None:
    """By any process, whichever wrote them, and in whichever order."""
    dead_letters = tuple(map(dead_letter, range(50)))

    assert store(dead_letters[::-1]) == dead_letters


def test_an_event_that_fails_again_has_one_dead_letter() -> None:
    """A crash after the first write must not look like a second failure."""
    newer = evolve(dead_letter(1), id="d2")

    assert store([dead_letter(1), newer]) == (newer,)


def test_one_event_for_two_destinations_has_two_dead_letters() -> None:
    """Each is a failure of its own."""
    assert len(store([dead_letter(1), evolve(dead_letter(1), id="d2", to=None)])) == 2


def test_large_dead_letters_are_bounded_by_their_size() -> None:
    """A page is read and written whole, so it has a limit; one dead letter always remains."""
    one_page = [one for one in map(dead_letter, range(PAGES * 10)) if page_of(one) == 0][:5]
    large = PAGE_BYTES_MAX // 2 - 10_000

    half = store([evolve(one, reason="x" * large) for one in one_page])
    whole = store([evolve(one, reason="x" * 2 * PAGE_BYTES_MAX) for one in one_page])

    assert {one.id for one in half} == {one.id for one in one_page[-2:]}
    assert [one.id for one in whole] == [one.id for one in one_page[-1:]]


@pytest.mark.promise("I8")
def test_dropped_dead_letters_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """I8: a full page drops its oldest dead letter, and the log names it."""
    one_page = [one for one in map(dead_letter, range(PAGES * 90)) if page_of(one) == 0]
    dead_letters = one_page[: PAGE_DEAD_LETTERS_MAX + 2]

    stored = store(dead_letters)

    dropped = logged(caplog.records, "a dead letter was dropped for newer ones")
    ids = [line["dead_letter"] for line in dropped]
    assert {one.id for one in stored} | set(ids) == {one.id for one in dead_letters}
    assert (len(stored), len(ids)) == (PAGE_DEAD_LETTERS_MAX, 2)
