"""Admit: who answers an event, and what it is handed."""

from typing import Any

import pytest

from arvo import Contract, Emit, Event, EventHandler, System, Version
from tests.shop import TIME, WEB, committed

plain = Contract(
    uri="#/contracts/plain",
    type="com.plain.data",
    versions={
        "1.0.0": Version(accepts={"type": "object"}, emits={"evt.plain.done": {"type": "object"}})
    },
)


def test_a_handler_cannot_change_what_it_is_handed() -> None:
    """B30: whoever retries the event after it sees what was sent, also where it has no class."""
    seen: list[Any] = []

    def function(event: Event[Any]) -> Emit:
        seen.append(event.data)
        return Emit({}, type="evt.plain.done")

    event = plain["1.0.0"].accepts({"lines": [{"n": 1}]}, source=WEB, id="c1", time=TIME)
    committed(System([EventHandler(plain, {"1.0.0": function})]), event)

    with pytest.raises(TypeError, match="cannot be changed"):
        seen[0]["lines"][0]["n"] = 2
    with pytest.raises(TypeError, match="cannot be changed"):
        seen[0]["more"] = 2
