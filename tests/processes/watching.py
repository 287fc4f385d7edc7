"""Watching: a worker that streams, and a watcher in another process."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from attrs import frozen

from arvo import Client, Flow, Report, Runtime, System, call, report, workflow


@frozen
class Write:
    path: str


@frozen
class Written:
    words: int


async def stream_words(path: str) -> int:
    """Report words, until there is the file at *path*."""
    number = 0
    while not Path(path).exists():  # noqa: ASYNC240 - a look at one file
        report({"word": number})
        number += 1
        await asyncio.sleep(0.01)
    report({"word": "last"})
    return number


@workflow("text.write")
def write_text(request: Write) -> Flow[Written]:
    words = yield from call(stream_words, request.path)
    return Written(words)


system = System([write_text])


def run_writer(url: str, begun: Callable[[], None]) -> None:
    """Work on a backend until SIGTERM; call *begun* when it works."""
    asyncio.run(_work(url, begun))


async def _work(url: str, begun: Callable[[], None]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Runtime(system, url):
        begun()
        await stop.wait()


async def watch_writer(
    url: str, path: Path, kill: Callable[[], Any], on_retry: Callable[[], Any]
) -> list[Any]:
    """Begin a text, and watch it to its end; return what the watcher got.

    *kill* is called at the first report, *on_retry* when the next delivery reports.
    """
    begin = write_text["1.0.0"].init(
        Write(str(path)), source="com.test.client", workflow_id="text-1"
    )
    items: list[Any] = []
    async with Client(system, url) as client, aclosing(client.watch(begin.subject)) as stream:
        await client.send(begin)
        deliveries: set[int] = set()
        async for item in stream:
            items.append(item)
            if isinstance(item, Report) and item.delivery not in deliveries:
                act = on_retry if deliveries else kill
                deliveries.add(item.delivery)
                await asyncio.to_thread(act)
    return items
