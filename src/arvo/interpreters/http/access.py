"""Access: which caller may send and read what, as the application decides."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Final, Literal, TypeAlias, final

from attrs import define
from starlette.requests import Request
from starlette.responses import Response

from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.violation import ExecutionViolation, Violated, Violation
from arvo.engine.step.doors import EventVerb, check_posted_cancellation, event_verb
from arvo.engine.system.handler import is_workflow
from arvo.interpreters.delivery.log import fields, get_logger
from arvo.interpreters.http.problem import problem, unavailable_problem, violation_problem
from arvo.interpreters.ports.errors import TooEarly, Unavailable
from arvo.interpreters.runtime.runtime import Runtime
from arvo.interrupts import is_interrupt

logger: Final = get_logger("http")

Verb: TypeAlias = EventVerb | Literal["describe", "result", "history", "watch", "list"]

# Decides whether a caller may do something: `allow(caller, verb, event, record)`, plain or async.
# *caller*: Starlette's `request.user`, or that of the partner who signed the request, or None.
# *verb*: "begin", "request" (to an event handler), "signal", "answer", "cancel",
# "describe", "result", "history", "watch" (a workflow that has not begun; once it has, it is asked
# for "history") or "list" (it is asked for each workflow of a list, and those that it refuses are
# left out).
# *event*: the event, which fits its contract, with its data as JSON; None for the last five, and
# for a signal that no workflow with this id takes.
# *record*: the stored record of the workflow, or None. Only True allows.
Allow: TypeAlias = Callable[[Any, Verb, Event[Any] | None, Record | None], bool | Awaitable[bool]]

# The longest time that a request waits for the decision of the application.
ALLOW_SECONDS_MAX: Final = 10.0
# The longest time that a request waits for a full queue or a slow store.
SEND_SECONDS_MAX: Final = 10.0


def caller_of(request: Request) -> Any:
    """Return the user of a request; None where no middleware and no signature names one."""
    return request.scope.get("user")


@final
@define(eq=False)
class Access:
    """Checks events from HTTP and sends them into the runtime, those that *allow* allows.

    With *allow*, a posted cancellation is the operator's verb "cancel"; without it is refused.
    """

    runtime: Runtime
    allow: Allow | None

    async def check(self, caller: Any, event: Event[Any]) -> Response | None:
        """Return the refusal of an event that may not enter, or that *caller* may not send."""
        violation = await self._check_door(event)
        refusal = None if violation is None else self._respond(event, violation)
        verb = event_verb(self.runtime.system, event)
        shows_state = violation is None or verb == "answer" or _shows_state(violation)
        if self.allow is None or not shows_state:
            return refusal
        record = None
        if is_workflow(self.runtime.system.handler_at(event.to)):
            record = await self.runtime.record(event.subject)
        # Such a refusal shows the state of the workflow, so the caller is authorized first.
        forbidden = await self.authorize(caller, verb, event, record)
        return refusal if forbidden is None else forbidden

    async def find(self, caller: Any, verb: Verb, workflow: str) -> Record | Response:
        """Return the record of a workflow, by its id or subject, or the refusal.

        A caller that may not do this cannot tell whether there is such a workflow.
        """
        record, ambiguous = None, None
        try:
            record = await self.runtime.record(workflow)
        except Violated as violated:
            # It names the runs that have the id.
            ambiguous = violated
        refusal = await self.authorize(caller, verb, None, record)
        if refusal is not None:
            return refusal
        if ambiguous is not None:
            raise ambiguous
        return unknown_workflow() if record is None else record

    async def authorize(
        self, caller: Any, verb: Verb, event: Event[Any] | None, record: Record | None
    ) -> Response | None:
        """Ask the application; return the refusal, or None."""
        if self.allow is None:
            return None
        try:
            async with asyncio.timeout(ALLOW_SECONDS_MAX) as limit:
                allowed = self.allow(caller, verb, event, record)
                if isawaitable(allowed):
                    allowed = await allowed
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if is_interrupt(error):
                raise
            if limit.expired():
                return unavailable_problem(f"allow took more than {ALLOW_SECONDS_MAX:g} s")
            logger.exception("allow raised", extra=fields(verb=verb))
            return problem(500, "internal error, see the log of the server")
        # A function without `return` must not open the door.
        return None if allowed is True else problem(403, f"this caller may not {verb} here")

    def is_cancellation(self, event: Event[Any]) -> bool:
        """Return whether an event is a cancellation that *allow* may allow."""
        return self.allow is not None and event_verb(self.runtime.system, event) == "cancel"

    async def send(self, event: Event[Any]) -> None:
        """Send a checked event, a cancellation as that of the operator."""
        try:
            async with asyncio.timeout(SEND_SECONDS_MAX):
                if self.is_cancellation(event):
                    reason, by = event.raw["reason"], event.raw.get("by")
                    await self.runtime.cancel(event.subject, reason, by=by, actor=event.source)
                else:
                    await self.runtime.send(event)
        except TimeoutError:
            text = f"event {event.id!r} was not accepted within {SEND_SECONDS_MAX:g} s"
            raise Unavailable(text) from None

    async def _check_door(self, event: Event[Any]) -> Violation | None:
        if self.is_cancellation(event):
            record = await self.runtime.record(event.subject)
            return check_posted_cancellation(self.runtime.system, event, record)
        try:
            await self.runtime.check(event)
        except TooEarly:
            raise
        except Violated as violated:
            return violated.violation
        return None

    def _respond(self, event: Event[Any], violation: Violation) -> Response:
        is_address = self.runtime.system.handler_at(event.to) is None
        return violation_problem(violation, None if is_address or _shows_state(violation) else 400)


def unknown_workflow() -> Response:
    """Return the response for an id or a subject that no workflow has."""
    return problem(404, "no workflow has this id or subject")


def _shows_state(violation: Violation) -> bool:
    """Return True for an answer that is late, and a begin whose workflow id is taken."""
    return isinstance(violation, ExecutionViolation) and any(
        issue.path in ("parentid", "workflow_id") for issue in violation.issues
    )
