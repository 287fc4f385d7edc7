"""Command: an effect that a handler requests, as a value."""

from typing import Any

import pytest

from arvo import Complete, Domain, Emit, Fail, Log, Persist
from tests.shop import CardCharged


@pytest.mark.parametrize(
    ("value", "domains"),
    [
        (None, (None,)),
        ("human", ("human",)),
        (Domain.FROM_SELF_CONTRACT, ("domain.contract.self.inherit",)),
        (["a", None], ("a", None)),
        ((), ()),
    ],
)
def test_a_command_takes_one_domain_or_several(value: Any, domains: tuple[str | None, ...]) -> None:
    """A string is one domain and not a list of letters; no domain is not the same as None."""
    assert Emit(CardCharged("r"), domain=value).domain == domains
    assert Complete(CardCharged("r"), domain=value).domain == domains


def test_commands_are_equal_by_value() -> None:
    """A test of a handler compares the commands that it returns."""
    assert Emit(CardCharged("r"), extensions={"a": 1}) == Emit(
        CardCharged("r"), extensions={"a": 1}
    )
    assert Persist({"n": 1}) != Persist({"n": 2})
    assert hash(Log("info", "x", {"a": 1})) == hash(Log("info", "x", {"a": 1}))


class BrokenMessage(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no stock"), "no stock"),
        (ValueError("x" * 10_000), "x" * 4096),
        (OSError("caf\udce9.txt"), "caf\\udce9.txt"),
        (BrokenMessage(), "an error whose message cannot be read"),
    ],
    ids=["plain", "long", "surrogate", "no message"],
)
def test_any_exception_becomes_a_reason_that_can_be_sent(error: Exception, reason: str) -> None:
    """B09: the cause was lost, and reading it must not raise another error."""
    assert Fail.of(error) == Fail(reason, name=type(error).__name__)


def test_a_stack_is_included_only_on_request() -> None:
    """B37: a stack shows the inside of a service to its callers."""
    try:
        int("caf\udce9")
    except ValueError as error:
        plain, with_stack = Fail.of(error), Fail.of(error, stack=True)

    assert plain.stack is None
    assert with_stack.stack is not None
    assert with_stack.stack.startswith("Traceback")
    # The path of this file is in it, which may have any letters; a lone surrogate is escaped.
    assert "caf\\udce9" in with_stack.stack.encode().decode()
