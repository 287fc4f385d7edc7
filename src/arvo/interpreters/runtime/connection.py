"""Connection: a system on a backend, with its observer, for every part of a client."""

import os
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Self, TypedDict

from arvo.core.events.event import Event
from arvo.core.payloads.json_data import is_encodable
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler, Unroutable, route
from arvo.engine.system.system import System, require_system
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.codecs.offloaded import data_bytes_max
from arvo.interpreters.delivery.clock import fresh_stamp, utc_now, whole_millisecond
from arvo.interpreters.ports.audit import AUDIT_CHARACTERS_MAX, AuditEntry, Verb
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.messages import Destination, Message
from arvo.interpreters.ports.observer import Observer, Operation
from arvo.interpreters.ports.process import check_process
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.interpreters.services.early_signals import EarlySignals


class ActOptions(TypedDict, total=False):
    """Who acts, and why; the audit log shows both. At most AUDIT_CHARACTERS_MAX characters each."""

    actor: str | None
    reason: str


def check_act(act: ActOptions, name: str) -> None:
    """Raise `Violated` for an actor or a reason of the act *name* that is no text, or too long."""
    actor, reason = act.get("actor"), act.get("reason", "")
    for key, text in (("actor", "" if actor is None else actor), ("reason", reason)):
        if not _is_short_text(text):
            expected = f"a text of at most {AUDIT_CHARACTERS_MAX} characters"
            issue = Issue(key, expected, short_repr(text))
            raise Violated(ConfigViolation(f"the {name} cannot be recorded", issue))


class Connection:
    """A system on a backend, which is opened by the first call and closed with the context."""

    def __init__(
        self, system: System, backend: str | Backend, *, codec: Codec | None = None
    ) -> None:
        require_system(system, type(self).__name__)
        self._own_backend = backend_from_url(backend, codec)
        limit = data_bytes_max(getattr(self._own_backend, "codec", None))
        self.system = system.with_data(limit) if limit else system
        self._early = EarlySignals(lambda: self._backend)
        self._observer: Observer | None = None
        self._process = os.getpid()

    def observe(self, observer: Observer) -> None:
        """Report to *observer* the calls of this client, before it is used; see `Observer`.

        Raises `Violated` if it has one.
        """
        if self._observer is not None:
            issue = Issue("observer", "one observer", "a second one")
            name = type(self).__name__
            raise Violated(ConfigViolation(f"this {name} is observed already", issue))
        self._observer = observer

    @property
    def is_observed(self) -> bool:
        """Whether it has an observer."""
        return self._observer is not None

    async def __aenter__(self) -> Self:
        self._process = os.getpid()
        await self._start_observer()
        return self

    async def _start_observer(self) -> None:
        if self._observer is not None:
            await self._observer.start()

    @property
    def backend(self) -> Backend:
        """The backend; raises `Violated` in a process that was forked while it was in use."""
        return self._backend

    @property
    def _backend(self) -> Backend:
        """The backend; raises `Violated` in a process that was forked while it was in use."""
        check_process(self._process, type(self).__name__)
        return self._own_backend

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._observer is not None:
            await self._observer.close()
        await self._backend.close()

    def _operating(
        self, verb: str, subject: str | None = None
    ) -> AbstractContextManager[Operation | None]:
        """Return the context in which an operator's command is carried out."""
        return nullcontext() if self._observer is None else self._observer.operating(verb, subject)

    async def _record_act(
        self,
        verb: Verb,
        subject: str,
        act: ActOptions,
        *,
        target: str | None = None,
        detail: str = "",
    ) -> None:
        """Record an act before it is carried out.

        Raises `Violated` for an actor or a reason that is no text, or too long.
        """
        check_act(act, verb)
        now = utc_now()
        entry = AuditEntry(
            # Sorted as they came, also those of one millisecond.
            id=f"{now:%Y%m%d%H%M%S%f}-{fresh_stamp().id}",
            at=whole_millisecond(now),
            verb=verb,
            subject=subject,
            target=target,
            actor=act.get("actor"),
            reason=act.get("reason", ""),
            detail=detail,
        )
        await self._backend.record_act(entry)

    async def _send(self, event: Event[Any]) -> None:
        """Send an event without asking whether its sender is inside."""
        message = Message(event, self._destination(event))
        if self._observer is None:
            await self._send_message(message)
        else:
            with self._observer.sending(message) as observed:
                await self._send_message(observed)

    async def _send_message(self, message: Message) -> None:
        await self._backend.send(message)

    def _destination(self, event: Event[Any]) -> Destination:
        match route(self.system, event, None):
            case ToHandler() | ToDomain() | ToCaller() as to:
                return to
            case Unroutable():
                known = ", ".join(self.system.addresses) or "none"
                issue = Issue("to", f"the address of a handler ({known})", repr(event.to))
                raise Violated(ConfigViolation(f"no handler answers event {event.id!r}", issue))


def _is_short_text(text: object) -> bool:
    """Return whether *text* is a string that a store can hold: a lone surrogate has no encoding."""
    return isinstance(text, str) and len(text) <= AUDIT_CHARACTERS_MAX and is_encodable(text)
