"""Workflows: the questions and the end of a workflow that a tool has begun."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Final, final

from attrs import define
from mcp_types import CallToolResult, ElicitRequest, ElicitResult

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.violation import Violated
from arvo.engine.system.handler import is_workflow
from arvo.interpreters.runtime.operations import history_entries
from arvo.interpreters.runtime.runtime import Runtime
from arvo.interpreters.watching.history import find_completion
from arvo.mcp.forms import Question
from arvo.mcp.results import outcome_result

# The first and the longest pause between two reads of a workflow for which a client waits.
POLL_SECONDS_MIN: Final = 0.02
POLL_SECONDS_MAX: Final = 0.5
# Forms that a person gets at a time; the next ones come with the next round.
QUESTIONS_MAX: Final = 20


@final
@define(eq=False)
class Workflows:
    """Waits for workflows, and answers their questions."""

    runtime: Runtime

    async def wait(
        self, subject: str, seconds: float, known: Collection[str] | None
    ) -> Record | None:
        """Return the record once the workflow has ended or asks something; the last one after
        *seconds*, None before its first turn.

        *known*: the ids of the questions that are no news; None if no question is.
        """
        record, pause = None, POLL_SECONDS_MIN
        until = asyncio.get_running_loop().time() + seconds
        while True:
            record = await self.runtime.record(subject)
            if record is not None and (has_ended(record) or _has_news(record, known)):
                return record
            if asyncio.get_running_loop().time() >= until:
                return record
            await asyncio.sleep(pause)
            pause = min(2 * pause, POLL_SECONDS_MAX)

    async def questions(self, record: Record) -> Mapping[str, Question]:
        """Return the questions of a workflow to people by the ids of its requests, oldest first."""
        ids = asked(record)[:QUESTIONS_MAX]
        handler = self.runtime.system.handler_at(record.handler)
        if not ids or not is_workflow(handler) or record.version not in handler.versions:
            return {}
        services = {it.dataschema: it for it in handler.services_of(record.version)}
        found: dict[str, Question] = {}
        async for entry in history_entries(self.runtime.backend, record.subject):
            event = entry.event
            if entry.kind == "produced" and event is not None and event.id in ids:
                contract = services.get(event.dataschema or "")
                if contract is not None and contract.type == event.type and contract.emitted:
                    found[event.id] = Question(event, contract)
            if len(found) == len(ids):
                break
        return {id_: found[id_] for id_ in ids if id_ in found}

    async def forms(
        self, record: Record, problems: Mapping[str, str], known: Collection[str] = ()
    ) -> dict[str, ElicitRequest]:
        """Return the forms of the questions of a workflow, without those that are *known*."""
        questions = await self.questions(record)
        return {
            id_: question.form(problems.get(id_))
            for id_, question in questions.items()
            if id_ not in known
        }

    async def answer(self, record: Record, responses: Mapping[str, ElicitResult]) -> dict[str, str]:
        """Send the answers of people, and return the faults of some, by their questions.

        Of two answers to a question the first counts. A form that a person has closed without a
        choice leaves the question open.
        """
        problems: dict[str, str] = {}
        questions = await self.questions(record)
        for id_, response in responses.items():
            question = questions.get(id_)
            if question is None or response.action == "cancel":
                continue
            try:
                event = _event_of(question, response)
            except Violated as violated:
                problems[id_] = str(violated.violation)
                continue
            await self._send_once(event)
        return problems

    async def outcome(self, record: Record) -> CallToolResult:
        """Return how a workflow has ended."""
        completion = None
        if record.status == "done":
            completion = await find_completion(self.runtime.backend, record)
        return outcome_result(self._contract(record), record, completion)

    def _contract(self, record: Record) -> VersionedContract[Any] | None:
        handler = self.runtime.system.handler_at(record.handler)
        return None if handler is None else handler.contract.versions.get(record.version)

    async def _send_once(self, event: Event[Any]) -> None:
        try:
            await self.runtime.send(event)
        except Violated:
            # Somebody else was faster, or the workflow did not wait any longer.
            record = await self.runtime.record(event.subject)
            if record is not None and event.parentid in record.open_requests:
                raise


def has_ended(record: Record) -> bool:
    """Return whether a workflow waits for nothing any more; a failed one may be revived."""
    return bool(record.init) and record.status != "active"


def asked(record: Record) -> list[str]:
    """Return the ids of the open requests that left by a domain, oldest first."""
    sent = record.pending_requests
    return [id_ for id_ in record.open_requests if sent[id_].domain is not None]


def _has_news(record: Record, known: Collection[str] | None) -> bool:
    return known is not None and bool(set(asked(record)) - set(known))


def _event_of(question: Question, response: ElicitResult) -> Event[Any]:
    content = response.content or {}
    if response.action == "decline":
        return question.decline(str(content.get("reason", "a person declined")))
    return question.answer(content)
