"""AsyncAPI: the events of a system as an AsyncAPI 3.0 document."""

from typing import Any, Final

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.protocol import FAULT
from arvo.engine.system.exported import Components, declared_contracts
from arvo.engine.system.handler import is_workflow
from arvo.engine.system.system import System

VERSION: Final = "3.0.0"
CONTENT_TYPE: Final = "application/cloudevents+json"


def asyncapi(system: System, *, title: str = "arvo", version: str = "1.0.0") -> dict[str, Any]:
    """Describe the events of a system: what its handlers receive, and what they send.

    A channel is an address: one for each handler, service and sender of a signal's answer. Its
    messages are the events to it by type and contract version, with the payload's JSON Schema.
    *title*, *version*: those of the document.
    """
    components = Components()
    messages: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    received = {handler.source for handler in system.handlers} | _signal_types(system)
    for contract in declared_contracts(system):
        request = f"{contract.type}.{contract.version}"
        messages[request] = _message(
            contract, contract.type, components.request_ref(contract), contract.dataschema
        )
        answers = []
        for event_type in contract.emitted:
            name = f"{event_type}.{contract.version}"
            payload = components.answer_ref(contract, event_type)
            messages[name] = _message(contract, event_type, payload, contract.dataschema)
            answers.append(name)
        fault = contract.system_error_type
        messages[fault] = _message(
            contract,
            fault,
            components.ref("arvo.error", FAULT.schema),
            contract.system_error_dataschema,
        )
        answers.append(fault)
        address, replies = contract.type, f"{contract.type}.replies"
        _add(channels, address, address, [request])
        _add(channels, replies, None, answers)
        operations[request] = {
            "action": "receive" if address in received else "send",
            "channel": {"$ref": f"#/channels/{address}"},
            "messages": [{"$ref": f"#/channels/{address}/messages/{request}"}],
            "reply": {
                "channel": {"$ref": f"#/channels/{replies}"},
                "messages": [{"$ref": f"#/channels/{replies}/messages/{it}"} for it in answers],
            },
        }
    return {
        "asyncapi": VERSION,
        "info": {"title": title, "version": version},
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": components.schemas},
    }


def _message(
    contract: VersionedContract[Any], event_type: str, payload: dict[str, Any], dataschema: str
) -> dict[str, Any]:
    content = {
        "name": event_type,
        "contentType": CONTENT_TYPE,
        "payload": {
            "type": "object",
            "required": ["id", "source", "type", "subject", "data"],
            "properties": {
                "id": {"type": "string"},
                "source": {"type": "string"},
                "subject": {"type": "string"},
                "type": {"const": event_type},
                "dataschema": {"const": dataschema},
                "data": payload,
            },
        },
    }
    return content | ({} if contract.description is None else {"description": contract.description})


def _add(channels: dict[str, Any], name: str, address: str | None, messages: list[str]) -> None:
    """Add messages to a channel; the address of replies is known at run time only: null."""
    channel = channels.setdefault(name, {"address": address, "messages": {}})
    for message in messages:
        channel["messages"][message] = {"$ref": f"#/components/messages/{message}"}


def _signal_types(system: System) -> frozenset[str]:
    workflows = filter(is_workflow, system.handlers)
    return frozenset(
        name
        for handler in workflows
        for version in handler.versions
        for name in handler.signals_of(version).by_type
    )
