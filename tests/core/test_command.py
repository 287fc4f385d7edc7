"""Command: wanting as a value."""

from typing import Any

import pytest

from arvo import Complete, Domain, Emit, Fail, Log, Persist
from tests.shop import CardCharged


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, (None,)),
        ("human", ("human",)),
        (Domain.FROM_SELF_CONTRACT, ("domain.contract.self.inherit",)),
        (["a", None], ("a", None)),
        ((), ()),
    ],
)
def test_one_domain_or_several_may_be_named(given: Any, kept: tuple[str | None, ...]) -> None:
    """A text is one domain and not its letters; none named is not the same as inside."""
    assert Emit(CardCharged("r"), domain=given).domain == kept
    assert Complete(CardCharged("r"), domain=given).domain == kept


def test_commands_are_equal_by_what_they_say() -> None:
    """A test of a handler compares what it wants."""
    assert Emit(CardCharged("r"), extensions={"a": 1}) == Emit(
        CardCharged("r"), extensions={"a": 1}
    )
    assert Persist({"n": 1}) != Persist({"n": 2})
    assert hash(Log("info", "x", {"a": 1})) == hash(Log("info", "x", {"a": 1}))


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no stock"), "no stock"),
        (ValueError("x" * 10_000), "x" * 4096),
        (OSError("caf\udce9.txt"), "caf\\udce9.txt"),
        (Mute(), "an error that cannot say what it is"),
    ],
    ids=["plain", "long", "surrogate", "mute"],
)
def test_any_exception_becomes_a_reason_that_can_be_sent(error: Exception, reason: str) -> None:
    """B09: the cause must not get lost, and must not itself be a failure."""
    assert Fail.of(error) == Fail(reason, name=type(error).__name__)


def test_a_stack_is_told_only_where_it_is_asked_for() -> None:
    """B37."""
    try:
        int("caf\udce9")
    except ValueError as error:
        told = Fail.of(error, stack=True)

    assert told.stack is not None
    assert told.stack.startswith("Traceback")
    assert told.stack.isascii()
