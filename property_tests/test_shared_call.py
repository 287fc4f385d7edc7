"""Shared call: the laws of a request that many callers share."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from arvo.interpreters.services.shared_call import SharedCall


@given(st.lists(st.sampled_from(["ask", "answer", "fail", "cancel"]), max_size=30))
def test_each_caller_gets_a_call_that_began_after_its_own(actions: list[str]) -> None:
    """Else it may miss what happened before it asked. And no two calls run at the same time."""

    async def go() -> None:
        time = 0
        running: list[tuple[int, asyncio.Future[None]]] = []
        overlapping = 0

        async def call() -> int:
            nonlocal overlapping
            began, answer = time, asyncio.get_running_loop().create_future()
            overlapping += bool(running)
            running.append((began, answer))
            try:
                await answer
            finally:
                running.remove((began, answer))
            return began

        shared = SharedCall(call)
        asked: list[tuple[int, asyncio.Task[int]]] = []
        for action in [*actions, *["answer"] * 3]:
            time += 1
            if action == "ask":
                asked.append((time, asyncio.create_task(shared.result())))
            elif action == "cancel" and asked:
                asked[-1][1].cancel()
            elif running:
                answer = running[0][1]
                if action == "fail":
                    answer.set_exception(ConnectionError())
                else:
                    answer.set_result(None)
            for _ in range(5):
                await asyncio.sleep(0)
        results = await asyncio.gather(*(task for _, task in asked), return_exceptions=True)
        for (at, _), result in zip(asked, results, strict=True):
            if isinstance(result, int):
                assert result >= at
            else:
                assert isinstance(result, ConnectionError | asyncio.CancelledError)
        assert not overlapping

    asyncio.run(go())
