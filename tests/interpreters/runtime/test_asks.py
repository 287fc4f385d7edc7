"""Asks: clients that signal a workflow, and wait for its answer."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from arvo import (
    Client,
    Commands,
    Complete,
    Contract,
    Emit,
    Event,
    EventHandler,
    Flow,
    Machine,
    NoReply,
    Orchestrator,
    OrchestratorContract,
    Persist,
    Resumable,
    Runtime,
    System,
    Turn,
    Version,
    VersionedContract,
    Violated,
    Workflow,
    ask,
    flow,
    run,
    sleep,
    tell,
    wait_for,
)
from arvo.statechart import State, Transition, assign, emit
from arvo.testing import check_workflow
from tests.interpreters.runtime.running import within


@frozen
class Publish:
    page: str


@frozen
class Published:
    page: str


@frozen
class Approve:
    by: str


@frozen
class Approved:
    count: int


@frozen
class Close:
    by: str


@frozen
class Check:
    page: str


@frozen
class Checked:
    page: str


approve = Contract(
    uri="#/approve",
    type="com.blog.approve",
    versions={"1.0.0": Version(accepts=Approve, emits={"evt.blog.approved": Approved})},
)
close = Contract(uri="#/close", type="com.blog.close", versions={"1.0.0": Version(accepts=Close)})
check = Contract(
    uri="#/check",
    type="com.blog.check",
    versions={"1.0.0": Version(accepts=Check, emits={"evt.blog.checked": Checked})},
)
publication = OrchestratorContract(
    uri="#/publication",
    name="blog.publish",
    versions={"1.0.0": Workflow(init=Publish, complete=Published)},
)
SIGNALS: tuple[VersionedContract[Any], ...] = (approve["1.0.0"], close["1.0.0"])
checking = EventHandler(check, {"1.0.0": lambda event: Emit(Checked(event.data.page))})


@flow(publication, "1.0.0", services=[check["1.0.0"]], signals=SIGNALS)
def as_flow(event: Event[Publish]) -> Flow[Published]:
    count = 0
    # Signals that come meanwhile are read, and answered, in a later turn.
    yield from ask(Check(event.data.page), Checked)
    while isinstance((yield from wait_for(Approve, Close)), Approve):
        count += 1
        yield from tell(Approved(count))
    return Published(event.data.page)


@frozen
class Draft:
    page: str
    count: int = 0


def turn(turn: Turn[Draft]) -> Commands:
    match turn.event.data:
        case Publish(page=page):
            return Persist(Draft(page)), Emit(Check(page))
        case Checked():
            return None
        case Approve():
            draft = evolve(turn.state, count=turn.state.count + 1)
            return Persist(draft), Emit(Approved(draft.count))
        case _:
            return Complete(Published(turn.state.page))


as_resumable = Resumable(
    publication, {"1.0.0": turn}, services=[check["1.0.0"]], signals=SIGNALS, state=Draft
)
as_chart = Orchestrator(
    [
        Machine(
            contract=publication["1.0.0"],
            services=[check["1.0.0"]],
            signals=SIGNALS,
            context=lambda event: {"page": event.data.page, "count": 0},
            initial="open",
            states={
                "open": State(
                    on={
                        Approve: Transition(
                            actions=[
                                assign(lambda c, e: {**c, "count": c["count"] + 1}),
                                emit(lambda c, e: Approved(c["count"])),
                            ]
                        ),
                        Close: "closed",
                    }
                ),
                "closed": State(type="final", output=lambda c, e: Published(c["page"])),
            },
        )
    ]
)
KINDS = pytest.mark.parametrize(
    "handler", [as_flow, as_resumable, as_chart], ids=["flow", "resumable", "chart"]
)


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run_test(*args: Any, **kwargs: Any) -> None:
        within(test(*args, **kwargs))

    return run_test


def begin() -> Event[Publish]:
    return publication["1.0.0"].init(Publish("home"), source="com.blog.web")


@pytest.fixture(params=["memory:", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    memory: str = request.param
    return memory if memory == "memory:" else f"sqlite:///{tmp_path}/asks.db"


@KINDS
@in_loop
async def test_a_workflow_answers_the_signals_that_ask(handler: Any, url: str) -> None:
    """A person who approves sees at once what came of it, with no topic or table of one's own."""
    begun = begin()
    async with Runtime(System([handler, checking]), url) as runtime:
        await runtime.send(begun)
        first = await runtime.ask(begun.subject, Approve("ann"), source="com.desk.ann")
        second = await runtime.ask(begun.subject, Approve("bob"))
        await runtime.signal(begun.subject, Close("ann"))
        await runtime.drain(10)
        history = await runtime.history(begun.subject)

    assert (first.type, first.data) == ("evt.blog.approved", Approved(1))
    assert (first.to, first.subject) == ("com.desk.ann", begun.subject)
    assert second.data == Approved(2)
    assert history[-1].event is not None
    assert history[-1].event.data == Published("home")


@KINDS
@in_loop
async def test_a_signal_that_is_asked_twice_counts_once_and_has_one_answer(
    handler: Any, url: str
) -> None:
    begun = begin()
    async with Runtime(System([handler, checking]), url) as runtime:
        await runtime.send(begun)
        first = await runtime.ask(begun.subject, Approve("ann"), id="a-1")
        await runtime.drain(10)
        again = await runtime.ask(begun.subject, Approve("ann"), id="a-1")
        other = await runtime.ask(begun.subject, Approve("ann"), id="a-2")

    assert again == first
    assert other.data == Approved(2)


@in_loop
async def test_callers_that_ask_the_same_at_once_wait_together(url: str) -> None:
    """A person clicks twice. Another signal with that id is refused: it has another answer."""
    begun = begin()
    async with Runtime(System([as_flow, checking]), url) as runtime:
        await runtime.send(begun)
        asked = [runtime.ask(begun.subject, Approve(by), id="1") for by in ("ann", "ann", "bob")]
        first, second, other = await asyncio.gather(*asked, return_exceptions=True)

    assert isinstance(first, Event)
    assert first.data == Approved(1)
    assert second == first
    assert isinstance(other, Violated)


@KINDS
@in_loop
async def test_a_client_that_does_no_work_gets_the_answer(handler: Any, tmp_path: Path) -> None:
    """Those who ask and those who work are different processes."""
    system, url, begun = System([handler, checking]), f"sqlite:///{tmp_path}/asks.db", begin()
    async with Runtime(system, url), Client(system, url) as client:
        await client.send(begun)
        answer = await client.ask(begun.subject, {"by": "ann"}, type="com.blog.approve", id="a-1")
        again = await client.ask(begun.subject, Approve("ann"), id="a-1")

    assert answer.data == Approved(1)
    assert again == answer


@KINDS
@in_loop
async def test_a_workflow_that_has_ended_answers_nothing(handler: Any, url: str) -> None:
    begun = begin()
    async with Runtime(System([handler, checking]), url) as runtime:
        await runtime.send(begun)
        await runtime.signal(begun.subject, Close("ann"))
        await runtime.drain(10)
        with pytest.raises((NoReply, Violated), match=r"too late|done"):
            await runtime.ask(begun.subject, Approve("ann"))


@in_loop
async def test_an_unanswered_signal_stays_sent(tmp_path: Path) -> None:
    """The caller may ask again with the same id."""
    system, url, begun = System([as_flow, checking]), f"sqlite:///{tmp_path}/asks.db", begin()
    async with Client(system, url) as client:
        await client.send(begun)
        with pytest.raises(TimeoutError, match="signal 'a-1' was not answered"):
            await client.ask(begun.subject, Approve("ann"), id="a-1", timeout=0.05)
    async with Runtime(system, url) as runtime:
        answer = await runtime.ask(begun.subject, Approve("ann"), id="a-1")

    assert answer.data == Approved(1)


@in_loop
async def test_what_is_no_signal_of_the_workflow_is_refused() -> None:
    async with Runtime(System([as_flow, checking])) as runtime:
        begun = begin()
        await runtime.send(begun)
        with pytest.raises(Violated, match=r"com\.blog\.approve, com\.blog\.close"):
            await runtime.signal(begun.subject, Checked("home"))
        with pytest.raises(Violated, match=r"takes no such signal: type"):
            await runtime.signal(begun.subject, {"by": "ann"}, type="com.blog.check")
        with pytest.raises(Violated, match=r"else use `signal`"):
            await runtime.ask(begun.subject, Close("ann"))
        with pytest.raises(Violated, match=r"data\.by"):
            await runtime.signal(begun.subject, {"by": 1}, type="com.blog.close")


@in_loop
async def test_a_workflow_is_signalled_by_its_id(url: str) -> None:
    """A person knows the order, and no subject."""
    begun = publication["1.0.0"].init(
        Publish("home"), source="com.blog.web", workflow_id="page-home"
    )
    async with Runtime(System([as_flow, checking]), url) as runtime:
        await runtime.send(begun)
        await runtime.drain(60)
        answer = await runtime.ask("page-home", Approve("ann"))
        await runtime.signal("arvo.orc.blog.publish/page-home", Close("ann"))
        await runtime.drain(60)
        with pytest.raises(Violated, match="there is no such workflow"):
            await runtime.signal("page-other", Close("ann"))

    assert (answer.subject, answer.data) == (begun.subject, Approved(1))


@KINDS
def test_an_answer_is_no_request(handler: Any) -> None:
    """Else the record would list the answers among what the workflow waits for."""
    begun = begin()
    asked = approve["1.0.0"].accepts(
        Approve("ann"), source="com.desk.ann", to=publication.type, subject=begun.subject
    )
    trace = run(System([handler, checking]), begun, asked)

    record = trace.records[begun.subject]
    assert not record.unanswered
    [answer] = [event for event in trace.events if event.type == "evt.blog.approved"]
    assert (answer.parentid, answer.to) == (asked.id, "com.desk.ann")
    assert trace.violations == ()
    assert trace.unroutable == ()


def test_a_signal_that_a_flow_reads_later_is_answered_by_its_own_id() -> None:
    @flow(publication, "1.0.0", signals=SIGNALS)
    def late(event: Event[Publish]) -> Flow[Published]:
        yield from sleep(timedelta(hours=1))
        yield from wait_for(Approve)
        yield from sleep(timedelta(hours=1))
        yield from tell(Approved(1))
        return Published(event.data.page)

    begun = begin()
    asked = approve["1.0.0"].accepts(
        Approve("ann"),
        source="com.desk.ann",
        redirectto="com.desk.log",
        to=publication.type,
        subject=begun.subject,
    )
    trace = run(System([late]), begun, asked)

    [answer] = [event for event in trace.events if event.type == "evt.blog.approved"]
    assert (answer.parentid, answer.to) == (asked.id, "com.desk.log")
    assert trace.unroutable == ()


def test_a_resumable_answers_later_by_the_id_that_it_remembers() -> None:
    def later(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case Approve():
                return Persist({"id": turn.event.id, "from": turn.event.source})
            case Close():
                asked = turn.state
                return (
                    Emit(Approved(1), to=asked["from"], parentid=asked["id"]),
                    Complete(Published("home")),
                )
            case _:
                return None

    handler = Resumable(publication, {"1.0.0": later}, signals=SIGNALS)
    begun = begin()
    source, to, subject = "com.desk.ann", publication.type, begun.subject
    asked = approve["1.0.0"].accepts(Approve("ann"), source=source, to=to, subject=subject)
    closed = close["1.0.0"].accepts(Close("bob"), source=source, to=to, subject=subject)
    trace = run(System([handler]), begun, asked, closed)

    [answer] = [event for event in trace.events if event.type == "evt.blog.approved"]
    assert (answer.parentid, answer.to) == (asked.id, "com.desk.ann")
    assert trace.unroutable == ()


@KINDS
def test_a_workflow_that_answers_signals_keeps_the_laws(handler: Any) -> None:
    check_workflow(handler)
