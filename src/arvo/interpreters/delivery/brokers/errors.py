"""Errors: translates the exceptions of a driver into those of the ports."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeAlias, final

from attrs import frozen

from arvo.interpreters.delivery.backend_url import hide_logins
from arvo.interpreters.ports.errors import Corrupt, TooLarge, Unavailable

PortError: TypeAlias = Unavailable | Corrupt | TooLarge


@final
@frozen
class ErrorRule:
    """Exceptions of a driver, and the function that makes the port's exception of one.

    A driver has many exceptions, and few of them say whether waiting helps; the rules of an adapter
    do.
    """

    caught: tuple[type[BaseException], ...]
    translate: Callable[[Any], PortError]


@final
@frozen(eq=False)
class ErrorTranslator:
    """A context manager that raises the port's exception for a driver's: the first rule decides.

    It keeps no state, so one of them serves all calls at the same time. It is synchronous, because
    nothing may be awaited between two writes that must keep their order.

    >>> lookup = ErrorTranslator((ErrorRule((KeyError,), lambda e: Corrupt(f"no {e}")),))
    >>> with lookup:
    ...     {}["key"]
    Traceback (most recent call last):
    ...
    arvo.interpreters.ports.errors.Corrupt: no 'key'
    """

    rules: tuple[ErrorRule, ...]

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            return
        for rule in self.rules:
            if isinstance(error, rule.caught):
                raise rule.translate(error) from error


def error_text(error: Exception) -> str:
    """Return the text of an exception, without logins, or its name where it has none."""
    return hide_logins(str(error)) or type(error).__name__
