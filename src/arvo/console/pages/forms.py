"""Forms: what the forms of acts have in common."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from attrs import frozen

from arvo.console.requests.access import Verb
from arvo.console.requests.visit import Visit
from arvo.console.views.acts import (
    ActView,
)
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.connection import ActOptions

COMMAND: Final = "arvo"


Perform: TypeAlias = Callable[[Client, str, Mapping[str, str], ActOptions], Awaitable[str | None]]


@frozen
class Act:
    """An act on a workflow: the *verb* that allows it, its form, and what it does."""

    verb: Verb
    show: Callable[[Client, Record, Visit], ActView]
    perform: Perform


def act_options(visit: Visit, form: Mapping[str, str]) -> ActOptions:
    """Return who acts and why, for the audit log; raises `Violated` without a reason."""
    return {"actor": visit.reader.user, "reason": required(form, "reason", "why you do this")}


def required(form: Mapping[str, str], name: str, expected: str) -> str:
    """Return a field of a form; raises `Violated` where it is empty."""
    value = form.get(name, "").strip()
    if not value:
        issue = Issue(name, expected, "nothing")
        raise Violated(ConfigViolation("the form is incomplete", issue))
    return value
