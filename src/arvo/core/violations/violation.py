"""Violation: a promise that was broken, as a value for the operator (tier 3)."""

from typing import ClassVar, Literal, TypeAlias, final

from attrs import field, frozen

from arvo.core.violations.issue import Issue, Issues


def _as_items(issues: "Issue | Issues | tuple[Issue, ...]") -> tuple[Issue, ...]:
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
    """An event or a command does not fit the contract that names it: the sender must act."""

    kind: ClassVar[Literal["Contract"]] = "Contract"
    message: str
    issues: tuple[Issue, ...] = field(default=(), converter=_as_items)

    def __str__(self) -> str:
        return _told(self.message, self.issues)


@final
@frozen
class ConfigViolation:
    """Something is missing or wired wrongly (no handler, no version): the operator must act."""

    kind: ClassVar[Literal["Config"]] = "Config"
    message: str
    issues: tuple[Issue, ...] = field(default=(), converter=_as_items)

    def __str__(self) -> str:
        return _told(self.message, self.issues)


@final
@frozen
class ExecutionViolation:
    """A handler did what no handler may do, or a subject cannot be read: the author must act."""

    kind: ClassVar[Literal["Execution"]] = "Execution"
    message: str
    issues: tuple[Issue, ...] = field(default=(), converter=_as_items)

    def __str__(self) -> str:
        return _told(self.message, self.issues)


TransactionCause: TypeAlias = Literal["conflict", "read", "write", "lock", "subject", "early"]


@final
@frozen
class TransactionViolation:
    """A store or broker could not keep its part (reference F108): waiting may help.

    *cause*: `conflict` another worker was first and stayed so; `read`, `write`, `lock` that
    operation failed; `subject` the store cannot hold this subject; `early` an event came before its
    time: a timer before it was due, a cancellation before what begins its workflow.
    """

    kind: ClassVar[Literal["Transaction"]] = "Transaction"
    message: str
    cause: TransactionCause = "write"
    issues: tuple[Issue, ...] = field(default=(), converter=_as_items)

    def __str__(self) -> str:
        return _told(f"[{self.cause}] {self.message}", self.issues)


Violation: TypeAlias = (
    ContractViolation | ConfigViolation | ExecutionViolation | TransactionViolation
)


class Violated(ValueError):
    """A violation at the outer edge, where Python expects an exception.

    Inside a handler it may be raised as well, and means the same as returning `Violate`.
    """

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation)
        self.violation = violation

    def __str__(self) -> str:
        return f"{type(self.violation).__name__}: {self.violation}"


def _told(message: str, issues: tuple[Issue, ...]) -> str:
    return f"{message}: {'; '.join(map(str, issues))}" if issues else message
