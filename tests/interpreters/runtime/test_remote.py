"""Remote: events wait for the process that has their handler, also if none has run yet."""

from collections.abc import Callable

import pytest

from arvo import Backend, Client, Runtime, System
from tests.engine.system.test_remote import BACK, BEGIN, FRONT, LoanDecided, approve
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
