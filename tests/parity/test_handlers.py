"""Event handlers, compared with recorded runs of the TypeScript packages."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from returns.result import Success

from arvo import Commands, Commit, Emit, Event, EventHandler, HandlerDomains, System, step
from tests.parity.recordings import (
    TIME,
    describe_subject,
    load_cases,
    make_contract,
    raise_recorded,
)

Case = dict[str, Any]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("case", load_cases("handlers.jsonl"))
def test_a_handler_emits_the_recorded_events(case: Case) -> None:
    """The same event gives the same events, or the same kind of violation."""
    contract = make_contract(case["contract"])
    handler = EventHandler(
        contract,
        {version: _function(script) for version, script in case["handler"].items()},
        executionunits=case["options"]["executionunits"],
        domains=_domains(case["options"].get("defaultEventEmissionDomains", {})),
    )
    # The recorded handler was called directly; here the address selects it.
    event = Event.from_dict({**case["input"], "time": TIME, "to": contract.type})

    result = step(System([handler], stacks=True), event, None, now=NOW)

    if not isinstance(result, Success):
        assert {"violation": result.failure().kind} == case["expect"], result.failure()
        return
    commit = result.unwrap()
    assert isinstance(commit, Commit)
    expected = case["expect"].get("events")
    assert expected is not None, commit.events
    assert [
        _describe(produced, want, event)
        for produced, want in zip(commit.events, expected, strict=True)
    ] == expected


def _function(script: Mapping[str, Any]) -> Callable[[Event[Any]], Commands]:
    def function(_: Event[Any]) -> Commands:
        if "throws" in script:
            raise_recorded(script["throws"])
        returned = script.get("returns")
        outputs = returned if isinstance(returned, list) else [] if returned is None else [returned]
        return [make_emit(output) for output in outputs]

    return function


def make_emit(output: Mapping[str, Any]) -> Emit:
    """Convert the recorded output of a handler to a command."""
    return Emit(
        output["data"],
        type=output["type"],
        to=output.get("to"),
        domain=output.get("domain", ()),
        redirectto=output.get("redirectto"),
        accesscontrol=output.get("accesscontrol"),
        executionunits=output.get("executionunits"),
        id=output.get("id"),
        extensions=output.get("extensions", {}),
    )


def _domains(recorded: Mapping[str, Any]) -> HandlerDomains:
    default = HandlerDomains()
    return HandlerDomains(
        emits=recorded.get("emits", default.emits),
        system_error=recorded.get("systemError", default.system_error),
    )


def _describe(event: Event[Any], expected: Mapping[str, Any], cause: Event[Any]) -> dict[str, Any]:
    content = event.to_dict()
    for masked in ("id", "time", "traceparent", "tracestate"):
        del content[masked]
    content["subject"] = describe_subject(event.subject, expected["subject"], {"in": cause.subject})
    content["parentid"] = "in" if event.parentid == cause.id else event.parentid
    return mask_stack(content)


def mask_stack(content: dict[str, Any]) -> dict[str, Any]:
    """Mask the stack of a system error, as the recording does."""
    if content["type"].startswith("sys.") and content["data"]["errorStack"] is not None:
        content["data"] = {**content["data"], "errorStack": "<stack>"}
    return content
