"""Violation: a broken promise of the system, as a value for the operator (tier 3)."""

from typing import ClassVar, Literal, TypeAlias, final

from attrs import field, frozen

from arvo.core.violations.issue import Issue, Issues


def _to_items(issues: "Issue | Issues | tuple[Issue, ...]") -> tuple[Issue, ...]:
    match issues:
        case Issue():
            return (issues,)
        case Issues():
            return issues.items
        case tuple():
            return issues


@final
@frozen
class ContractViolation:
    """An event or a command does not fit its contract: the sender must act."""

    kind: ClassVar[Literal["Contract"]] = "Contract"
    message: str
    issues: tuple[Issue, ...] = field(default=(), converter=_to_items)

    def __str__(self) -> str:
        return _format(self.message, self.issues)


@final
@frozen
class ConfigViolation:
    """A handler, a version or a setting is missing or wrong: the operator must act."""

    kind: ClassVar[Literal["Config"]] = "Config"
    message: str
    issues: tuple[Issue, ...] = field(default=(), converter=_to_items)

    def __str__(self) -> str:
        return _format(self.message, self.issues)


@final
@frozen
class ExecutionViolation:
    """A handler broke the rules for handlers, or a subject is unreadable: the author must act."""

    kind: ClassVar[Literal["Execution"]] = "Execution"
    message: str
    issues: tuple[Issue, ...] = field(default=(), converter=_to_items)

    def __str__(self) -> str:
        return _format(self.message, self.issues)


TransactionCause: TypeAlias = Literal["conflict", "read", "write", "lock", "subject", "early"]


@final
@frozen
class TransactionViolation:
    """A store or a broker failed to do its part: trying again later may help.

    *cause*: `conflict`: another worker changed the record first, in every attempt. `read`, `write`,
    `lock`: that operation failed. `subject`: the store cannot hold this subject. `early`: the event
    arrived before its time, such as a timer that is not due yet, or a cancellation that overtook
    the init event of its workflow.

    >>> print(TransactionViolation("the record changed in every attempt", "conflict"))
    [conflict] the record changed in every attempt
    """

    kind: ClassVar[Literal["Transaction"]] = "Transaction"
    message: str
    cause: TransactionCause = "write"
    issues: tuple[Issue, ...] = field(default=(), converter=_to_items)

    def __str__(self) -> str:
        return _format(f"[{self.cause}] {self.message}", self.issues)


Violation: TypeAlias = (
    ContractViolation | ConfigViolation | ExecutionViolation | TransactionViolation
)


class Violated(ValueError):
    """The exception that carries a violation where Python expects an exception.

    A handler may raise it as well, which means the same as returning `Violate`.
    """

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation)
        self.violation = violation

    def __str__(self) -> str:
        return f"{type(self.violation).__name__}: {self.violation}"


def _format(message: str, issues: tuple[Issue, ...]) -> str:
    return f"{message}: {'; '.join(map(str, issues))}" if issues else message
