"""Keyed: worker processes that debounce, batch and throttle, and the check of what they sent."""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import frozen

from arvo import (
    Client,
    Contract,
    Emit,
    Event,
    EventHandler,
    Resumable,
    System,
    Version,
)
from arvo.compose import HeldEvents, batched, debounced, singleton, throttled
from tests.interpreters.until import until
from tests.processes.worker import work

# How long the processes may take in all: a loaded machine is slow.
TIMEOUT_SECONDS: Final = 180.0
PAGES: Final = ("home", "news")
# Longer and shorter than the span between two events of a page.
AFTER, LONGEST, WITHIN, PERIOD = 0.1, 0.6, 0.3, 0.2
SIZE, LIMIT = 3, 2


@frozen
class Change:
    """A page has changed."""

    page: str
    number: int


@frozen
class Changes:
    """Pages have changed."""

    items: tuple[Change, ...]


@frozen
class Indexed:
    """A page is indexed."""


one = Contract(
    uri="#/processes/index",
    type="com.processes.index",
    versions={"1.0.0": Version(accepts=Change, emits={"evt.processes.indexed": Indexed})},
)
many = Contract(
    uri="#/processes/index/all",
    type="com.processes.index.all",
    versions={"1.0.0": Version(accepts=Changes, emits={"evt.processes.all.indexed": Indexed})},
)
index_one = EventHandler(one, {"1.0.0": lambda _: Emit(Indexed())})
index_all = EventHandler(many, {"1.0.0": lambda _: Emit(Indexed())})


def _page_of(change: Change) -> str:
    return change.page


WORKFLOWS: Final[Mapping[str, Resumable[Any]]] = {
    "debounced": debounced(index_one, key=_page_of, after=AFTER, longest=LONGEST),
    "batched": batched(index_all, Change, Changes, size=SIZE, within=WITHIN, key=_page_of),
    "throttled": throttled(index_one, key=_page_of, limit=LIMIT, period=PERIOD),
    "singleton": singleton(index_one, key=_page_of),
}
system = System([index_one, index_all, *WORKFLOWS.values()])


def run_worker(url: str, report: Callable[[], None]) -> None:
    """Work on a backend until SIGTERM; call *report* when it works."""
    asyncio.run(work(system, url, report))


async def send_change(client: Client, number: int) -> None:
    """Send one change of each page to each workflow, twice each, as a sender that tries again."""
    for name, workflow in WORKFLOWS.items():
        for page in PAGES:
            contract = workflow.contract["1.0.0"]
            id_ = f"{name}-{page}-{number}"
            event = contract.init(Change(page, number), source="com.processes.web", id=id_)
            await client.send(event)
            await client.send(event)


async def wait_for_end(client: Client) -> None:
    """Wait until every workflow has sent what it holds."""

    async def is_over() -> bool:
        return not await client.workflows(status="active") and not (await client.depth()).total

    await until(is_over, pause=0.05)


async def check(client: Client, changes: int) -> None:
    """Check that each of so many *changes* was sent on once, as each workflow promises."""
    assert not await client.dead_letters()
    subjects = [it.record.subject for it in await client.workflows(limit=1_000)]
    assert len(subjects) == len(set(subjects)) == len(WORKFLOWS) * len(PAGES)
    for subject in subjects:
        events = [it.event for it in await client.history(subject) if it.event is not None]
        (name,) = (it for it, workflow in WORKFLOWS.items() if events[0].type == workflow.source)
        came = [_numbers_of(it) for it in events if it.type == WORKFLOWS[name].source]
        held = sum(it.data.events for it in events if isinstance(it.data, HeldEvents))
        assert came == [[number] for number in range(changes)]
        assert held == changes
        _CHECKS[name](events, changes)


def _check_debounced(events: Sequence[Event[Any]], changes: int) -> None:
    """A window sends its last change, and only that."""
    sizes = [it.data.events for it in events if isinstance(it.data, HeldEvents)]
    lasts = [(number,) for number in itertools.accumulate(sizes, initial=-1)][1:]
    assert [_numbers_of(it) for it in _sent(events)] == [list(last) for last in lasts]
    assert lasts[-1] == (changes - 1,)


def _check_batched(events: Sequence[Event[Any]], changes: int) -> None:
    """The batches have all changes in their order."""
    batches = [_numbers_of(it) for it in _sent(events)]
    assert [number for batch in batches for number in batch] == list(range(changes))
    assert max(map(len, batches)) <= SIZE


def _check_throttled(events: Sequence[Event[Any]], changes: int) -> None:
    """No span of the period has more than the limit."""
    times = [datetime.fromisoformat(it.time) for it in _sent(events)]
    assert len(times) == changes
    spans = [later - earlier for earlier, later in zip(times, times[LIMIT:], strict=False)]
    assert min(spans) >= timedelta(seconds=PERIOD)


def _check_singleton(events: Sequence[Event[Any]], changes: int) -> None:
    """An answer follows each change before the next one is sent."""
    talk = [it for it in events if it.to == one.type or isinstance(it.data, Indexed)]
    sent, answers = talk[::2], talk[1::2]
    assert [_numbers_of(it) for it in sent] == [[number] for number in range(changes)]
    assert [it.parentid for it in answers] == [it.id for it in sent]


_CHECKS: Final[Mapping[str, Callable[[Sequence[Event[Any]], int], None]]] = {
    "debounced": _check_debounced,
    "batched": _check_batched,
    "throttled": _check_throttled,
    "singleton": _check_singleton,
}


def _sent(events: Sequence[Event[Any]]) -> list[Event[Any]]:
    """Return the events for a handler."""
    return [it for it in events if it.to in (one.type, many.type)]


def _numbers_of(event: Event[Any]) -> list[int]:
    """Return the numbers of the changes in an event."""
    items = [event.data] if isinstance(event.data, Change) else event.data.items
    return [item.number for item in items]
