"""Calls: a call of a tool as an event, and the answer as its result."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, final

import orjson
from attrs import define
from mcp.server.request_state import authenticated_principal
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import is_version_at_least

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.contracts.versioned_workflow import (
    PARENT_SUBJECT,
    BeginOptions,
    VersionedWorkflow,
)
from arvo.core.record import Record
from arvo.core.violations.issue import one_line
from arvo.core.violations.violation import Violated
from arvo.interpreters.ports.errors import NoReply, Unavailable
from arvo.interpreters.runtime.runtime import Runtime
from arvo.mcp.catalog import RESULT_ID, RESULT_TOOL, Catalog
from arvo.mcp.results import KEY_META, WORKFLOW_META, answer_result, error_result
from arvo.mcp.sealing import Context, Seal
from arvo.mcp.tasks import TASKS, TaskCreated
from arvo.mcp.workflows import Workflows, asked, has_ended

SOURCE: Final = "arvo.mcp.client"
# From this version of the protocol on, a result asks for input and the client calls again.
_ROUNDS_SINCE: Final = "2026-07-28"
# Rounds without a question: a client gives up after ten, and would not know the id of the workflow.
ROUNDS_MAX: Final = 8


@final
@define(eq=False)
class Calls:
    """Calls the tools of a catalog. *timeout*: the seconds that a call waits, at most."""

    runtime: Runtime
    catalog: Catalog
    workflows: Workflows
    seal: Seal
    timeout: float

    async def call(
        self, context: Context, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult | TaskCreated:
        """Call a tool. A fault that the caller can mend is a result, which the model reads."""
        try:
            return await self._call(context, params)
        except Violated as violated:
            return error_result(str(violated.violation))
        except (NoReply, TimeoutError) as error:
            return error_result(str(error))
        except Unavailable:
            return error_result("the backend cannot be reached: call again later")

    async def _call(
        self, context: Context, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult | TaskCreated:
        arguments = params.arguments or {}
        if params.request_state is not None:
            # The state that an earlier round has returned, unsealed by the SDK.
            rounds, subject = orjson.loads(params.request_state)
            return await self._wait(context, subject, params, rounds)
        if params.name == RESULT_TOOL and self.catalog.has_workflows:
            subject = self.seal.open(context, str(arguments.get(RESULT_ID, "")))
            return await self._wait(context, subject, params)
        contract = self.catalog.contracts.get(params.name)
        if contract is None:
            known = ", ".join(self.catalog.contracts)
            text = f"no tool is named {params.name!r}: there are {known}"
            raise MCPError(code=INVALID_PARAMS, message=text)
        key = _key_of(context)
        if not isinstance(contract, VersionedWorkflow):
            return await self._ask(contract, arguments, key)
        if PARENT_SUBJECT in arguments:
            # No caller is the parent of a run.
            return error_result(f"{PARENT_SUBJECT}: expected no such argument")
        options: BeginOptions = {} if key is None or contract.key else {"workflow_id": key}
        event = contract.init(arguments, source=SOURCE, **options)
        await self.runtime.send(event)
        if _wants_tasks(context):
            return TaskCreated.of(self.seal.seal(context, event.subject))
        return await self._wait(context, event.subject, params)

    async def _ask(
        self, contract: VersionedContract[Any], arguments: Mapping[str, Any], key: str | None
    ) -> CallToolResult:
        event = contract.accepts(arguments, source=SOURCE, id=key)
        answer = await self.runtime.request(event, timeout=self.timeout)
        return answer_result(contract, answer)

    async def _wait(
        self, context: Context, subject: str, params: CallToolRequestParams, rounds: int = 0
    ) -> CallToolResult | InputRequiredResult:
        """Wait for the outcome of a workflow, and for its questions meanwhile.

        *rounds*: how often the client has called again without an answer.
        """
        has_rounds = is_version_at_least(context.protocol_version, _ROUNDS_SINCE)
        responses = {
            id_: response
            for id_, response in (params.input_responses or {}).items()
            if isinstance(response, ElicitResult)
        }
        while True:
            problems, known = await self._answer(subject, responses)
            # Who waits for an outcome and cannot answer is not told of each question.
            is_deaf = params.name == RESULT_TOOL and not _can_ask(context)
            is_closed = any(it.action == "cancel" for it in responses.values())
            seconds = 0.0 if is_closed else self.timeout
            record = await self.workflows.wait(subject, seconds, None if is_deaf else known)
            if record is not None and has_ended(record):
                return await self.workflows.outcome(record)
            forms = {}
            if record is not None:
                forms = await self.workflows.forms(record, problems, known)
            can_ask = _can_ask(context) or (has_rounds and not forms)
            if is_closed or not can_ask or rounds >= ROUNDS_MAX or not (forms or has_rounds):
                return await self._unfinished(context, subject, record)
            if has_rounds:
                state = orjson.dumps([0 if forms else rounds + 1, subject]).decode()
                return InputRequiredResult(input_requests=dict(forms) or None, request_state=state)
            responses = await _ask_now(context, forms)

    async def _answer(
        self, subject: str, responses: Mapping[str, ElicitResult]
    ) -> tuple[dict[str, str], frozenset[str]]:
        """Send answers; return the faults of some, and the ids of the others."""
        record = await self.runtime.record(subject) if responses else None
        if record is None:
            return {}, frozenset()
        problems = await self.workflows.answer(record, responses)
        return problems, frozenset(id_ for id_ in responses if id_ not in problems)

    async def _unfinished(
        self, context: Context, subject: str, record: Record | None
    ) -> CallToolResult:
        """Return that a workflow goes on, and how the caller gets its outcome."""
        state = "goes on" if record is not None else "has not begun yet"
        if record is not None and asked(record):
            state = "waits for the answer of a person"
        elif dead_letters := await self.runtime.dead_letters(subject=subject, limit=1):
            state = f"needs an operator ({one_line(dead_letters[0].reason)})"
        id_ = self.seal.seal(context, subject)
        text = f"the workflow {state}: call {RESULT_TOOL} with the id {id_} to wait for its outcome"
        result = error_result(text)
        result.meta = {WORKFLOW_META: id_}
        return result


async def _ask_now(context: Context, forms: Mapping[str, Any]) -> dict[str, ElicitResult]:
    """Ask a person by requests to the client, one after the other: how older clients are asked."""
    responses: dict[str, ElicitResult] = {}
    for id_, form in forms.items():
        assert isinstance(form.params, ElicitRequestFormParams)
        responses[id_] = await context.session.elicit_form(
            form.params.message, form.params.requested_schema, context.request_id
        )
    return responses


def _key_of(context: Context) -> str | None:
    """Return an id that follows from the idempotency key of a call, for its caller alone."""
    key = (context.meta or {}).get(KEY_META)
    if not isinstance(key, str) or not key:
        return None
    return sha256(orjson.dumps([authenticated_principal(context), key])).hexdigest()[:32]


def _can_ask(context: Context) -> bool:
    capabilities = context.session.client_capabilities
    if capabilities is None or capabilities.elicitation is None:
        return False
    if is_version_at_least(context.protocol_version, _ROUNDS_SINCE):
        return True
    return context.session.can_send_request


def _wants_tasks(context: Context) -> bool:
    capabilities = context.session.client_capabilities
    extensions = None if capabilities is None else capabilities.extensions
    return extensions is not None and TASKS in extensions
