"""Event handlers as the reference runs them (recorded)."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from returns.result import Success

from arvo import Commands, Commit, Emit, Event, EventHandler, HandlerDomains, System, step
from tests.parity.recordings import TIME, cases, contract_of, raise_recorded, subject_said

Case = dict[str, Any]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("case", cases("handlers.jsonl"))
def test_a_handler_answers_as_the_reference_does(case: Case) -> None:
    """The same event gives the same events, or the same kind of violation."""
    contract = contract_of(case["contract"])
    handler = EventHandler(
        contract,
        {version: _function(said) for version, said in case["handler"].items()},
        executionunits=case["options"]["executionunits"],
        domains=_domains(case["options"].get("defaultEventEmissionDomains", {})),
    )
    # The reference's handler takes whatever it is given; ours is found by the address.
    event = Event.from_dict({**case["input"], "time": TIME, "to": contract.type})

    stepped = step(System([handler], stacks=True), event, None, now=NOW)

    if not isinstance(stepped, Success):
        assert {"violation": stepped.failure().kind} == case["expect"], stepped.failure()
        return
    commit = stepped.unwrap()
    assert isinstance(commit, Commit)
    expected = case["expect"].get("events")
    assert expected is not None, commit.events
    assert [
        _said(each, want, event) for each, want in zip(commit.events, expected, strict=True)
    ] == expected


def _function(said: Mapping[str, Any]) -> Callable[[Event[Any]], Commands]:
    def function(_: Event[Any]) -> Commands:
        if "throws" in said:
            raise_recorded(said["throws"])
        returned = said.get("returns")
        outputs = returned if isinstance(returned, list) else [] if returned is None else [returned]
        return [emit_of(output) for output in outputs]

    return function


def emit_of(output: Mapping[str, Any]) -> Emit:
    """Spell what a recorded handler returned as our command."""
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


def _domains(given: Mapping[str, Any]) -> HandlerDomains:
    default = HandlerDomains()
    return HandlerDomains(
        emits=given.get("emits", default.emits),
        system_error=given.get("systemError", default.system_error),
    )


def _said(event: Event[Any], expected: Mapping[str, Any], cause: Event[Any]) -> dict[str, Any]:
    said = event.to_dict()
    for masked in ("id", "time", "traceparent", "tracestate"):
        del said[masked]
    said["subject"] = subject_said(event.subject, expected["subject"], {"in": cause.subject})
    said["parentid"] = "in" if event.parentid == cause.id else event.parentid
    return with_masked_stack(said)


def with_masked_stack(said: dict[str, Any]) -> dict[str, Any]:
    """Mask the stack of a system error, as the recording does."""
    if said["type"].startswith("sys.") and said["data"]["errorStack"] is not None:
        said["data"] = {**said["data"], "errorStack": "<stack>"}
    return said
