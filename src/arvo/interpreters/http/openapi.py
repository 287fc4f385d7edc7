"""OpenAPI: the HTTP interface of a system's workflows as an OpenAPI 3.1 document."""

from typing import Any, Final

from arvo.core.contracts.check import ORCHESTRATOR_PREFIX
from arvo.core.contracts.versioned import VersionedContract
from arvo.engine.system.exported import Components
from arvo.engine.system.handler import WorkflowHandler, is_workflow
from arvo.engine.system.system import System
from arvo.interpreters.http.workflow_json import STATUSES
from arvo.interpreters.ports.results import PAGE_MAX

VERSION: Final = "3.1.0"
_TEXT: Final = {"type": "string"}
_WORKFLOW: Final = {
    "name": "workflow",
    "in": "path",
    "required": True,
    "description": "The workflow id, or the subject as `Location` has it.",
    "schema": _TEXT,
}
_PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=10` waits up to ten seconds.",
    "schema": _TEXT,
}
_LAST_EVENT_ID: Final = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The position of the last entry that was received.",
    "schema": _TEXT,
}
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The id of the signal, which counts once.",
    "schema": _TEXT,
}
_PROBLEM: Final = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "issues": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "expected", "got"],
                "properties": {"field": _TEXT, "expected": _TEXT, "got": _TEXT},
            },
        },
    },
}
_ACCEPTED: Final = {
    "type": "object",
    "required": ["workflow_id", "subject", "id"],
    "properties": {"workflow_id": {"type": ["string", "null"]}, "subject": _TEXT, "id": _TEXT},
}
_LIST: Final = {
    "type": "object",
    "required": ["workflows", "next"],
    "properties": {
        "workflows": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["subject", "type", "version", "status", "labels", "began", "changed"],
                "properties": {
                    "workflow_id": {"type": ["string", "null"]},
                    "subject": _TEXT,
                    "type": _TEXT,
                    "version": _TEXT,
                    "status": {"enum": list(STATUSES)},
                    "labels": {"type": "object"},
                    "began": {"type": "string", "format": "date-time"},
                    "changed": {"type": "string", "format": "date-time"},
                },
            },
        },
        "next": {"type": ["string", "null"]},
    },
}
# The parameters of a list of workflows, each with its schema and what it selects.
_FILTERS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "status": ({"enum": list(STATUSES)}, "Only those with this status."),
    "type": (_TEXT, "Only those of this type, such as `arvo.orc.order`."),
    "version": (_TEXT, "Only those of this version."),
    "workflow_id": (_TEXT, "Only the runs with this workflow id."),
    "label": (
        {"type": "array", "items": {"type": "string", "pattern": "^[^:]+:"}},
        "Only those with this label, as `name:value`; of several, all.",
    ),
    "text": (_TEXT, "Only those with this text in their workflow id or in a label."),
    "after": (_TEXT, "The `next` of the page before."),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_MAX},
        "The most workflows of the page.",
    ),
}
_ENTRY: Final = {
    "type": "object",
    "required": ["position", "revision", "kind", "at", "event"],
    "properties": {
        "position": {"type": "integer"},
        "revision": {"type": "integer"},
        "kind": {"enum": ["consumed", "produced", "replaced"]},
        "at": {"type": "string", "format": "date-time"},
        "event": {"type": ["object", "null"]},
    },
}

_REPORT: Final = {
    "type": "object",
    "required": ["effect", "event", "call", "delivery", "attempt", "number", "value"],
    "properties": {
        "effect": _TEXT,
        "event": _TEXT,
        **{name: {"type": "integer"} for name in ("call", "delivery", "attempt", "number")},
        "value": {},
    },
}


def openapi(system: System, *, title: str = "arvo", version: str = "1.0.0") -> dict[str, Any]:
    """Describe the HTTP interface of the workflows of a system, with the payloads as JSON Schemas.

    *title*, *version*: those of the document.
    """
    components, paths = Components(), dict[str, Any]()
    accepted = _json(components.ref("arvo.accepted", _ACCEPTED))
    components.ref("arvo.problem", _PROBLEM)
    components.ref("arvo.entry", _ENTRY)
    components.ref("arvo.report", _REPORT)
    page = _json(components.ref("arvo.workflows", _LIST))
    paths["/workflows"] = {
        "get": _operation(
            "List workflows, the most recently changed first",
            "list",
            {"200": {"description": "a page; it is the last one if `next` is null", **page}},
            [
                {"name": name, "in": "query", "description": text, "schema": schema}
                for name, (schema, text) in _FILTERS.items()
            ],
        )
    }
    outcomes: list[dict[str, Any]] = []
    for handler in filter(is_workflow, system.handlers):
        for number in handler.versions:
            contract = handler.contract.version(number)
            outcome = _outcome(components, contract)
            outcomes.append(outcome)
            name = handler.source.removeprefix(f"{ORCHESTRATOR_PREFIX}.")
            paths[f"/workflows/{name}/{number}"] = _begin(components, contract, accepted, outcome)
            paths |= _signals(components, handler, number, accepted)
    paths["/workflows/{workflow}/result"] = {
        "get": _operation(
            "Wait for the outcome of a workflow",
            "result",
            {
                "200": {"description": "it has ended", **_json(_any_of(outcomes))},
                "202": {"description": "it is active", **_json(_any_of(outcomes))},
            },
            [_WORKFLOW, _PREFER],
        )
    }
    stream = {"text/event-stream": {"schema": _TEXT}}
    paths["/workflows/{workflow}/events"] = {
        "get": _operation(
            "Watch a workflow by server-sent events: each entry of its history (`arvo.entry`), each"
            " `report` of its effects (`arvo.report`), and `end` with the outcome",
            "events",
            {"200": {"description": "the stream", "content": stream}},
            [_WORKFLOW, _LAST_EVENT_ID],
        )
    }
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": components.schemas},
    }


def _begin(
    components: Components,
    contract: VersionedContract[Any],
    accepted: dict[str, Any],
    outcome: dict[str, Any],
) -> dict[str, Any]:
    body = {
        "type": "object",
        "required": ["data"],
        "additionalProperties": False,
        "properties": {
            "workflow_id": _TEXT,
            "source": _TEXT,
            "data": components.request_ref(contract),
        },
    }
    operation = _operation(
        contract.description or f"Begin {contract.type}",
        f"begin.{contract.type}.{contract.version}",
        {
            "200": {"description": "the outcome, where the client waits", **_json(outcome)},
            "202": {"description": "it has begun", **accepted},
        },
        [_PREFER],
    )
    return {"post": {**operation, "requestBody": {"required": True, **_json(body)}}}


def _signals(
    components: Components, handler: WorkflowHandler, version: str, accepted: dict[str, Any]
) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for signal in handler.signals_of(version):
        data = components.request_ref(signal)
        body = {
            "type": "object",
            "required": ["data"],
            "additionalProperties": False,
            "properties": {"id": _TEXT, "source": _TEXT, "data": data},
        }
        responses = {"202": {"description": "it is sent", **accepted}}
        if signal.emitted:
            answers = [
                {
                    "type": "object",
                    "required": ["type", "data"],
                    "properties": {
                        "type": {"const": event_type},
                        "data": components.answer_ref(signal, event_type),
                    },
                }
                for event_type in signal.emitted
            ]
            responses["200"] = {"description": "the answer", **_json(_any_of(answers))}
        operation = _operation(
            signal.description or f"Signal {signal.type}",
            f"signal.{signal.type}.{signal.version}",
            responses,
            [_WORKFLOW, _PREFER, _IDEMPOTENCY_KEY],
        )
        paths[f"/workflows/{{workflow}}/signals/{signal.type}"] = {
            "post": {**operation, "requestBody": {"required": True, **_json(body)}}
        }
    return paths


def _outcome(components: Components, contract: VersionedContract[Any]) -> dict[str, Any]:
    done = f"{contract.type}.done"
    schema = {
        "type": "object",
        "required": ["status", "subject"],
        "properties": {
            "workflow_id": {"type": ["string", "null"]},
            "subject": _TEXT,
            "status": {"enum": ["active", "done", "failed", "cancelled"]},
            "type": {"const": done},
            "data": components.answer_ref(contract, done),
            "error": {
                "type": "object",
                "properties": {"name": _TEXT, "message": _TEXT},
            },
        },
    }
    return components.ref(f"{contract.type}.{contract.version}.outcome", schema)


def _operation(
    summary: str, id_: str, responses: dict[str, Any], parameters: list[Any]
) -> dict[str, Any]:
    problem = {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/arvo.problem"}}
    }
    default = {"description": "4xx: a fault of the client, 5xx: of the server", "content": problem}
    return {
        "summary": summary,
        "operationId": id_,
        "parameters": parameters,
        "responses": {**responses, "default": default},
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _any_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas} if schemas else {}
