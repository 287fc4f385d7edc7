"""Violation: a law that a handler or workflow breaks, and the exception that reports it."""

from textwrap import indent
from typing import Final, final

from attrs import frozen

from arvo.printable import printable_lines

# A shrunk trace is shorter; a longer one belongs to a run that does not end.
TRACE_LINES_MAX: Final = 12


@final
@frozen(kw_only=True)
class LawViolation:
    """A *law* that does not hold, the *problem*, the *trace* that shows it and a *remedy*.

    *trace* holds one line for each step, with payloads as Python code.
    """

    law: str
    problem: str
    trace: tuple[str, ...]
    remedy: str

    def __str__(self) -> str:
        steps = [f"{number}. {line}" for number, line in enumerate(self.trace, 1)]
        if len(steps) > TRACE_LINES_MAX:
            more = len(steps) - TRACE_LINES_MAX + 1
            steps[TRACE_LINES_MAX - 1 :] = [f"… and {more} more"]
        body = indent("\n".join(steps), "    ")
        text = f"{self.law}: {self.problem}\n\n{body}\n\nremedy: {self.remedy}"
        return printable_lines(text)


class LawViolated(AssertionError):
    """A handler or workflow breaks a law: *violation* holds the law and the shrunk example."""

    def __init__(self, subject: str, violation: LawViolation) -> None:
        super().__init__(f"{subject} breaks a law\n\n{violation}")
        self.violation = violation
