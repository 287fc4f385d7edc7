"""Journal: reads a recorded reply by the contract of the service that was asked."""

from typing import Any

from attrs import frozen

from arvo import Contract, Emit, Version, VersionedContract
from arvo.handlers.flow.journal import read_reply
from arvo.handlers.flow.operations import Request
from arvo.handlers.services import Services


@frozen
class Weigh:
    kilograms: float


@frozen
class Roughly:
    grams: int


@frozen
class Exactly:
    grams: int


def scales(name: str, answer: type[object]) -> VersionedContract[Any]:
    contract = Contract(
        uri=f"#/contracts/{name}",
        type=f"com.scales.{name}",
        versions={"1.0.0": Version(accepts=Weigh, emits={"evt.scales.weighed": answer})},
    )
    return contract["1.0.0"]


SERVICES = Services((scales("rough", Roughly), scales("exact", Exactly)))


def test_a_reply_is_read_by_the_service_that_was_asked() -> None:
    """Two services may accept one class, and answer with one type of event."""
    answer = {"type": "evt.scales.weighed", "data": {"grams": 1}}
    request = Request(Emit(Weigh(0.001), type="com.scales.exact"), (Exactly,))

    assert read_reply(SERVICES, request, answer) == Exactly(1)
