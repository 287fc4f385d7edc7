"""Letters: dead letters in a store that cannot list."""

import asyncio
from collections.abc import Sequence

import pytest
from attrs import evolve

from arvo import ConfigViolation, DeadLetter, InMemoryMachineMemory
from arvo.engine.step.route import ToHandler
from arvo.interpreters.paired.dead_letters import (
    PAGE_BYTES_MAX,
    PAGE_LETTERS_MAX,
    PAGES,
    Letters,
    page_of,
)
from tests.shop import charging

PAY = ToHandler("com.payment.charge", None)


def letter(n: int) -> DeadLetter:
    return DeadLetter(
        id=f"l{n}",
        event=charging(f"c{n}"),
        reason="no bank",
        attempts=2,
        at=f"2026-01-02T03:04:{n % 60:02}Z",
        to=PAY,
        violation=ConfigViolation("no bank"),
    )


def kept(dead_letters: Sequence[DeadLetter]) -> tuple[DeadLetter, ...]:
    async def go() -> tuple[DeadLetter, ...]:
        memory = InMemoryMachineMemory()
        await asyncio.gather(*(Letters(memory).keep(each) for each in dead_letters))
        return await Letters(memory).all()

    return asyncio.run(go())


def test_letters_are_listed_oldest_first() -> None:
    """By any process, whoever wrote them, at once or not."""
    dead_letters = tuple(map(letter, range(50)))

    assert kept(dead_letters[::-1]) == dead_letters


def test_an_event_that_is_buried_again_has_one_letter() -> None:
    """A crash after the first burial must not look like a second failure."""
    assert kept([letter(1), evolve(letter(1), id="l2")]) == (evolve(letter(1), id="l2"),)


def test_one_event_for_two_places_has_two_letters() -> None:
    """Each is its own failure."""
    assert len(kept([letter(1), evolve(letter(1), id="l2", to=None)])) == 2


def test_large_letters_are_bounded_by_what_they_weigh() -> None:
    """A page is read and written whole, and so has its bound; one letter always stays."""
    one_page = [each for each in map(letter, range(PAGES * 10)) if page_of(each) == 0][:5]
    large = PAGE_BYTES_MAX // 2 - 10_000

    half = kept([evolve(each, reason="x" * large) for each in one_page])
    whole = kept([evolve(each, reason="x" * 2 * PAGE_BYTES_MAX) for each in one_page])

    assert {each.id for each in half} == {each.id for each in one_page[-2:]}
    assert [each.id for each in whole] == [each.id for each in one_page[-1:]]


def test_letters_are_bounded_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    """I8: the oldest of a full page makes way, in the log and not in silence."""
    one_page = [each for each in map(letter, range(PAGES * 90)) if page_of(each) == 0]
    dead_letters = one_page[: PAGE_LETTERS_MAX + 2]

    found = kept(dead_letters)

    told = [each.split()[2] for each in caplog.messages if "made way" in each]
    assert {each.id for each in found} | set(told) == {each.id for each in dead_letters}
    assert (len(found), len(told)) == (PAGE_LETTERS_MAX, 2)
