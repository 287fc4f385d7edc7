"""Report: what an effect may report, and where it goes without a worker."""

import asyncio
from typing import Annotated, Any

import pytest
from attrs import frozen

from arvo import Effects, Emit, Event, EventHandler, Secret, Version, Violated, call, report, run
from arvo.core.contracts.simple import SimpleContract
from arvo.core.payloads.secrets import HIDDEN
from arvo.engine.system.system import System
from arvo.handlers.report import REPORT_BYTES_MAX
from arvo.testing import collect_reports


@frozen
class Ask:
    words: str


@frozen
class Answered:
    words: str


@frozen
class Progress:
    percent: int
    pin: Annotated[str, Secret()] = "0000"


oracle = SimpleContract(
    uri="#/oracle",
    type="com.oracle",
    versions={"1.0.0": Version(accepts=Ask, emits=Answered)},
)


async def write(words: str) -> str:
    for word in words.split():
        report(word)
        await asyncio.sleep(0)
    return words


def answer(event: Event[Ask]) -> Effects[Emit]:
    return Emit(Answered((yield from call(write, event.data.words))))


def test_a_function_that_reports_is_called_as_it_is() -> None:
    """Its unit test needs no worker."""
    assert asyncio.run(write("it will rain")) == "it will rain"


def test_a_test_may_read_what_was_reported() -> None:
    """Also what a stub reports in a `run`."""
    event = oracle["1.0.0"].accepts(Ask("it rains"), source="com.front.door")

    def stub(words: str) -> str:
        report(f"stub: {words}")
        return words

    with collect_reports() as reports:
        asyncio.run(write("it will"))
        trace = run(System([EventHandler(oracle, {"1.0.0": answer})]), event, effects={write: stub})
    report("after the block")

    assert reports == ["it", "will", "stub: it rains"]
    assert [event.data for event in trace.answers] == [Answered("it rains")]


@pytest.mark.parametrize("value", [None, True, 50, 0.5, "token", [1, "a"], {"percent": 50}])
def test_json_is_reported_as_it_is(value: Any) -> None:
    with collect_reports() as reports:
        report(value)

    assert reports == [value]


def test_the_secret_fields_of_a_payload_are_hidden() -> None:
    """They leave the worker in no form: a broker may carry the report."""
    with collect_reports() as reports:
        report(Progress(50, "4711"))

    assert reports == [{"percent": 50, "pin": HIDDEN}]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "value: expected a finite number, got nan"),
        ({"at": object()}, "value.at: expected"),
        (Progress("half"), "value.percent: expected"),  # type: ignore[arg-type]
        ("x" * REPORT_BYTES_MAX, f"value: expected at most {REPORT_BYTES_MAX} bytes, got 8194"),
    ],
)
def test_another_value_is_refused(value: object, text: str) -> None:
    """Where it is reported, also in a test: nothing would be seen of it elsewhere."""
    with pytest.raises(Violated, match="an effect cannot report this value") as refused:
        report(value)

    assert text in str(refused.value)
