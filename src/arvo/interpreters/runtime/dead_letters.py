"""Dead letters: the part of a client that lists, groups, redrives and deletes dead letters."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Unpack

from attrs import evolve

from arvo.core.events.event import Event
from arvo.core.events.uri import is_uri
from arvo.core.violations.arguments import check_limit, check_time
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.engine.step.doors import check_payload, requesting_subject
from arvo.interpreters.delivery.clock import fresh_stamp
from arvo.interpreters.delivery.operations import dead_letter_key
from arvo.interpreters.ports.messages import DeadLetter, Message
from arvo.interpreters.ports.observer import send_again
from arvo.interpreters.ports.results import PAGE_MAX, DeadLetterFilters, DeadLetterGroup
from arvo.interpreters.runtime.batches import (
    BATCH_MAX,
    BatchResult,
    DeadLetterBatchOptions,
    check_chosen,
    check_names,
    run_batch,
)
from arvo.interpreters.runtime.connection import ActOptions, Connection, check_act
from arvo.interpreters.runtime.lookup import find_dead_letter_subject
from arvo.interpreters.runtime.operations import find_record


class DeadLetterClient(Connection):
    """Lists, groups, redrives and deletes dead letters."""

    async def dead_letters(
        self,
        *,
        after: DeadLetter | None = None,
        limit: int = PAGE_MAX,
        **filters: Unpack[DeadLetterFilters],
    ) -> tuple[DeadLetter, ...]:
        """List at most *limit* events that could not be processed, oldest first.

        *after*: the last dead letter of the previous page; it may have been deleted since.
        *subject*: only those of this workflow, by its workflow id or subject; also of one that has
        not begun, as the event that begins it is a dead letter. *type*: only events of this type.
        *handler*: only those that were for the handler at this address; "" for those that were for
        none. *cause*: only those with this `DeadLetter.cause`. *text*: only those whose cause
        contains this text. *since*: only those that were stored then or later.
        """
        check_limit(limit, of="dead_letters")
        selected = await self._select(filters)
        if selected is None:
            return ()
        return await self._backend.dead_letters(after=after, limit=limit, **selected)

    async def dead_letter_groups(
        self, *, limit: int = PAGE_MAX, **filters: Unpack[DeadLetterFilters]
    ) -> tuple[DeadLetterGroup, ...]:
        """Count dead letters in groups with the same cause, handler and type of event.

        The *limit* largest groups, the largest first. *filters*: those of `dead_letters`.
        """
        check_limit(limit, of="dead_letter_groups")
        selected = await self._select(filters)
        if selected is None:
            return ()
        return await self._backend.dead_letter_groups(limit=limit, **selected)

    async def _select(self, filters: DeadLetterFilters) -> DeadLetterFilters | None:
        """Return the filters for the backend, None if they can select nothing."""
        check_time("since", filters.get("since"), of="dead_letters")
        texts = (filters.get("handler"), filters.get("type"), filters.get("cause"))
        # A cause is printable. A database refuses some texts that are not, and none has them.
        if not all((text or "").isprintable() for text in (*texts, filters.get("text"))):
            return None
        subject = filters.get("subject")
        if subject is None:
            return filters
        subject = await find_dead_letter_subject(self._backend, subject)
        return {**filters, "subject": subject} if is_uri(subject) else None

    async def redrive_dead_letter(
        self,
        id: str,  # noqa: A002 - as `DeadLetter.id`
        *,
        data: object = None,
        dry_run: bool = False,
        **act: Unpack[ActOptions],
    ) -> None:
        """Send the event of a dead letter again, and delete the dead letter.

        *data*: send it with this payload in the place of its own: a mapping, or an instance of its
        payload class. It must fit the contract of the receiver, which this system needs to have.
        The event keeps its parent, so an answer stays the answer, and gets a new id; a request that
        a workflow waits for keeps its id, by which its answer is found. *dry_run*: change
        nothing, and raise as without it. *actor*, *reason*: who does this, and why, for the audit
        log.

        Raises `Violated` if there is no dead letter with that *id*, no handler for its event, or if
        *data* does not fit.
        """
        if dry_run:
            await self._check_redrive(id, data=data)
        else:
            await self._redrive(id, act, data=data)

    async def redrive_dead_letters(self, **options: Unpack[DeadLetterBatchOptions]) -> BatchResult:
        """Redrive the dead letters that *options* select when it begins; `DeadLetterBatchOptions`.

        Those of one workflow in their order, up to CONCURRENT_ACTS_MAX workflows at a time. One
        that fails again meanwhile becomes a new dead letter, which is left. If this raises, or is
        cancelled, call it again: it goes on with those that are left.
        """
        act = partial(self._redrive, act=_act_of(options))
        return await self._act_on("redrive", self._check_redrive, act, options)

    async def delete_dead_letter(
        self,
        id: str,  # noqa: A002 - as `DeadLetter.id`
        **act: Unpack[ActOptions],
    ) -> None:
        """Delete a dead letter; raises `Violated` if there is none with that *id*.

        *actor*, *reason*: who does this, and why, for the audit log.
        """
        await self._delete(id, act)

    async def delete_dead_letters(self, **options: Unpack[DeadLetterBatchOptions]) -> BatchResult:
        """Delete the dead letters that *options* select; see `redrive_dead_letters`."""
        act = partial(self._delete, act=_act_of(options))
        return await self._act_on("delete", self._find, act, options)

    async def _act_on(
        self,
        verb: str,
        try_out: Callable[[str], Awaitable[object]],
        act: Callable[[str], Awaitable[object]],
        options: DeadLetterBatchOptions,
    ) -> BatchResult:
        check_names(options, DeadLetterBatchOptions.__optional_keys__, f"{verb}_dead_letters")
        check_act(_act_of(options), verb)
        selected = await self._list(verb, options)
        check = options.get("check")

        async def act_on(id_: str) -> bool:
            try:
                if check is not None:
                    await check(await self._find(id_))
                await (try_out if options.get("dry_run") else act)(id_)
            except _NotFound:
                return False
            return True

        limit = options.get("limit", BATCH_MAX)
        return await run_batch(
            selected[:limit],
            act_on,
            more=len(selected) > limit,
            on_progress=options.get("on_progress"),
        )

    async def _list(self, verb: str, options: DeadLetterBatchOptions) -> list[tuple[str, str]]:
        """Return the ids and subjects of the dead letters to act on, oldest first.

        All of them before the first act, and perhaps more than the limit: what is redriven may come
        back, and would be redriven for ever.
        """
        name, limit = f"{verb}_dead_letters", options.get("limit", BATCH_MAX)
        check_limit(limit, of=name)
        filters = _filters_of(options)
        check_chosen("ids", ids := options.get("ids"), filters, name)
        if ids is not None:
            found = {id_: await self._look_up(id_) for id_ in ids}
            known = sorted(filter(None, found.values()), key=dead_letter_key)
            gone = [(id_, id_) for id_, it in found.items() if it is None]
            return [*((it.id, it.event.subject) for it in known), *gone]
        selected: list[tuple[str, str]] = []
        query, last = await self._select(filters), None
        while query is not None and (page := await self._backend.dead_letters(after=last, **query)):
            last = page[-1]
            selected += ((dead_letter.id, dead_letter.event.subject) for dead_letter in page)
            if len(selected) > limit:
                break
        return selected

    async def _redrive(self, id_: str, act: ActOptions, *, data: object = None) -> None:
        with self._operating("redrive") as operation:
            dead_letter = await self._find(id_)
            event = dead_letter.event if data is None else await self._edit(dead_letter, data)
            to = dead_letter.to or self._destination(event)
            subject, detail = event.subject, "" if data is None else f"edited as {event.id}"
            await self._record_act("redrive", subject, act, target=id_, detail=detail)
            message = Message(send_again(event, operation, dead_letter.event), to)
            if not await self._backend.redrive(id_, [message]):
                raise _NotFound(id_)

    async def _check_redrive(self, id_: str, *, data: object = None) -> None:
        dead_letter = await self._find(id_)
        event = dead_letter.event if data is None else await self._edit(dead_letter, data)
        if dead_letter.to is None:
            self._destination(event)

    async def _delete(self, id_: str, act: ActOptions) -> None:
        with self._operating("delete"):
            dead_letter = await self._find(id_)
            await self._record_act("delete", dead_letter.event.subject, act, target=id_)
            if not await self._backend.redrive(id_, []):
                raise _NotFound(id_)

    async def _find(self, id_: str) -> DeadLetter:
        """Return the dead letter with this id; raises `_NotFound`."""
        dead_letter = await self._look_up(id_)
        if dead_letter is None:
            raise _NotFound(id_)
        return dead_letter

    async def _look_up(self, id_: str) -> DeadLetter | None:
        return await self._backend.find_dead_letter(id_) if id_.isprintable() else None

    async def _edit(self, dead_letter: DeadLetter, data: object) -> Event[Any]:
        """Return the event of a dead letter with other data."""
        event = dead_letter.event
        asking = await find_record(self._backend, requesting_subject(event))
        is_pending = asking is not None and event.id in asking.pending_requests
        edited = evolve(event, id=event.id if is_pending else fresh_stamp().id, data=data)
        record = await find_record(self._backend, event.subject)
        violation = check_payload(self.system, edited, record)
        if violation is not None:
            raise Violated(violation)
        return edited


def _act_of(options: DeadLetterBatchOptions) -> ActOptions:
    return {"actor": options.get("actor"), "reason": options.get("reason", "")}


def _filters_of(options: DeadLetterBatchOptions) -> DeadLetterFilters:
    return {
        "subject": options.get("subject"),
        "handler": options.get("handler"),
        "type": options.get("type"),
        "cause": options.get("cause"),
        "text": options.get("text"),
        "since": options.get("since"),
    }


class _NotFound(Violated):
    """There is no such dead letter; in a batch, another operator was first."""

    def __init__(self, id_: str) -> None:
        issue = Issue("id", "the id of a dead letter (see dead_letters)", repr(id_))
        super().__init__(ConfigViolation("there is no such dead letter", issue))
