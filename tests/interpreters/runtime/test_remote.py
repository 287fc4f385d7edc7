"""Remote: events wait for the process that has their handler, also if none has run yet."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from arvo import Backend, Client, Emit, Event, Runtime, System, Violated
from tests.engine.system.test_remote import (
    BACK,
    BEGIN,
    FRONT,
    CheckCredit,
    LoanDecided,
    approve,
    check,
)
from tests.interpreters.runtime.running import within
from tests.interpreters.until import until

OpenBackend = Callable[[], Backend]


@pytest.mark.promise("I8")
def test_a_request_waits_for_a_process_that_has_never_run(open_backend: OpenBackend) -> None:
    async def go() -> None:
        async with Client(System([], remote=[approve]), open_backend()) as client:
            await client.send(BEGIN)
        async with Runtime(FRONT, open_backend()) as front:
            await until(lambda: front.stats().handled == 1)
        async with Runtime(BACK, open_backend()) as back:
            await until(lambda: back.stats().handled == 1)
            assert await back.dead_letters() == ()
        async with Runtime(FRONT, open_backend()) as front:
            answer = await front.request(BEGIN, timeout=30)
            assert answer.data == LoanDecided(3)
            assert await front.dead_letters() == ()

    within(go())


def changed(event: Event[Any], **attributes: object) -> Event[Any]:
    return Event.from_dict({**event.to_dict(), **attributes})


REQUEST = check["1.0.0"].accepts(CheckCredit("ann"), source="com.bank.web")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (changed(REQUEST, data={"name": 1}), "data.name: expected a string, got 1"),
        (changed(REQUEST, data={}), "data.name: expected a value"),
        (changed(REQUEST, type="com.credit.chek"), "type: expected com.credit.check, got"),
        (
            changed(REQUEST, dataschema="#/com/loan/1.0.0"),
            "dataschema: expected #/com/credit/check",
        ),
        (
            changed(BEGIN, data={"name": 1}, to=approve.source),
            "data.name: expected a string, got 1",
        ),
    ],
)
def test_a_sender_is_refused_what_a_remote_handler_refuses(event: Event[Any], message: str) -> None:
    """A dead letter in another process, hours later, reaches the operator and not the author."""

    async def go() -> None:
        async with Runtime(System([], remote=[check, approve])) as front:
            for send in (front.send, front.check, front.request):
                with pytest.raises(Violated, match=re.escape(message)):
                    await send(event)
            assert (await front.depth()).total == 0

    within(go())


def test_a_version_that_a_sender_does_not_list_is_sent() -> None:
    """In a rolling deploy the process that has the handler may be the newer one."""

    async def go() -> None:
        async with Client(System([], remote=[check]), "memory:") as client:
            await client.send(changed(REQUEST, dataschema="#/com/credit/check/2.0.0", data={}))

    within(go())


@pytest.mark.parametrize("wrong", [None, CheckCredit("ann"), REQUEST.to_dict(), Emit(REQUEST.data)])
def test_a_value_that_is_no_event_is_refused_with_what_to_write(wrong: Any) -> None:
    async def go() -> None:
        async with Runtime(FRONT) as runtime:
            for send in (runtime.send, runtime.check, runtime.request):
                with pytest.raises(Violated, match=r"event: expected an Event: write `contract\["):
                    await send(wrong)

    within(go())
