"""Runtime: a system on a backend, for real."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest

from arvo import (
    Backend,
    Commands,
    Complete,
    ConfigViolation,
    ContractViolation,
    Effects,
    Emit,
    Event,
    EventHandler,
    Fail,
    Log,
    MemoryBackend,
    NoReply,
    Persist,
    Record,
    Retry,
    Runtime,
    Stats,
    Subject,
    System,
    Turn,
    Violated,
    call,
)
from arvo.core.violations.issue import Issue
from arvo.interpreters.ports.backend import Unavailable
from arvo.interpreters.sqlite import SqliteBackend
from tests.shop import (
    WEB,
    BookShipment,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    answering,
    charge,
    charging,
    paying,
    placing,
    shipping,
    shop,
    workflow,
)

T = TypeVar("T")
# What the runtime of a test runs on: every backend of ours that needs no server.
Backends = Callable[[], str | Backend]
_BACKEND: ContextVar[Backends] = ContextVar("backend")
FAST = Retry(attempts=2, delay=0.0)


def within(work: Coroutine[Any, Any, T], seconds: float = 5.0) -> T:
    async def go() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(go())


@pytest.fixture(params=["memory", "sqlite"], autouse=True)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Choose what `on` gives: memory, or a file of the test's own."""
    number = count()
    made: Backends = lambda: "memory:"  # noqa: E731
    if request.param == "sqlite":
        made = lambda: SqliteBackend(f"{tmp_path}/{next(number)}.db")  # noqa: E731
    token = _BACKEND.set(made)
    yield
    _BACKEND.reset(token)


def on() -> str | Backend:
    """Give a new backend of the kind that this test is run on."""
    return _BACKEND.get()()


def running(
    system: System, work: Callable[[Runtime], Awaitable[T]], **options: Any
) -> tuple[T, Stats]:
    """Run *work*, come to rest, and say what became of everything."""

    async def go() -> tuple[T, Stats]:
        options.setdefault("backend", on())
        async with Runtime(system, **options) as runtime:
            return await work(runtime), await runtime.drain(timeout=3)

    return within(go())


def test_a_request_can_be_made_again_by_the_same_source() -> None:
    """B03, B04: the reference never unsubscribes, and its second call throws."""

    async def work(runtime: Runtime) -> list[object]:
        return [(await runtime.request(placing(f"i{n}"), timeout=2)).data for n in range(3)]

    answers, stats = running(shop, work)

    assert answers == [OrderFulfilled("t-o1")] * 3
    assert stats == Stats(handled=15, answered=3)


def test_requests_at_once_get_their_own_answers() -> None:
    """An answer is known by what it answers and not by who asked."""

    async def work(runtime: Runtime) -> list[object]:
        events = [
            charging(f"c{n}", subject=f"s{n}", redirectto=f"com.desk.n{n}") for n in range(20)
        ]
        answers = await asyncio.gather(*(runtime.request(event, timeout=2) for event in events))
        return [(answer.parentid, answer.to) for answer in answers]

    answers, _ = running(shop, work)

    assert answers == [(f"c{n}", f"com.desk.n{n}") for n in range(20)]


def test_duplicates_change_nothing() -> None:
    """B05, B06: the same init twice, the same answer twice: one workflow, one of everything."""

    async def work(runtime: Runtime) -> Record | None:
        for _ in range(3):
            await runtime.send(placing())
        await runtime.drain(timeout=2)
        record = await runtime.record(placing().subject)
        assert record is not None
        asked = next(iter(record.pending_requests))
        request: Event[Any] = attrs.evolve(
            charging(subject=record.subject, redirectto=record.handler), id=asked
        )
        for _ in range(3):
            await runtime.send(answering(request, CardCharged("r")))
        await runtime.drain(timeout=2)
        return await runtime.record(record.subject)

    counted = System([workflow(counting)])
    record, stats = running(counted, work)

    assert record is not None
    assert (record.state, record.revision) == (1, 2)
    # The workflow's own request found no service here, and is a dead letter.
    assert stats == Stats(handled=2, duplicates=4, dead_lettered=1)


def counting(turn: Turn[Any]) -> Commands:
    if turn.input is not None:
        return Persist(0), Emit(ChargeCard("o1", 1.0))
    return Persist(turn.state + 1)


def gathering(turn: Turn[Any]) -> Commands:
    """Ask ten times; count the answers one by one."""
    if turn.input is not None:
        return Persist(0), *(Emit(ChargeCard(str(n), 1.0)) for n in range(10))
    seen = turn.state + 1
    return Complete(OrderFulfilled(str(seen))) if seen == 10 else Persist(seen)


def test_replies_at_once_lose_no_update() -> None:
    """B13, I4: the reference counts one of two; here ten come in together."""

    async def work(runtime: Runtime) -> object:
        return (await runtime.request(placing(), timeout=3)).data

    system = System([workflow(gathering), paying(lambda _: Emit(CardCharged("r")))])
    done, _ = running(system, work)

    assert done == OrderFulfilled("10")


def test_fan_out_then_ask_again_collects_all() -> None:
    """B07: the reply to the first request leads to another; the second is still collected."""

    def both(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder():
                return Persist([]), Emit(ChargeCard("a", 1.0)), Emit(BookShipment("b"))
            case CardCharged(receipt="r-a"):
                return Persist([*turn.state, "a"]), Emit(ChargeCard("c", 1.0))
            case CardCharged():
                return finish([*turn.state, "c"])
            case _:
                return finish([*turn.state, "b"])

    def finish(state: list[str]) -> Commands:
        done = Complete(OrderFulfilled(",".join(sorted(state))))
        return done if len(state) == 3 else Persist(state)

    async def work(runtime: Runtime) -> object:
        return (await runtime.request(placing(), timeout=3)).data

    charging_now = paying(lambda event: Emit(CardCharged(f"r-{event.data.order_id}")))
    done, _ = running(System([workflow(both), charging_now, shipping]), work)

    assert done == OrderFulfilled("a,b,c")


def test_a_failure_keeps_state_and_reason_and_later_events_are_dead_letters() -> None:
    """B08, B09, B15: the record stays readable, and nothing that comes later is dropped."""

    def fails(turn: Turn[Any]) -> Commands:
        if turn.input is not None:
            return Persist({"n": 1}), Emit(ChargeCard("a", 1.0)), Emit(ChargeCard("b", 1.0))
        return Fail("no stock")

    async def work(runtime: Runtime) -> tuple[Record | None, list[str], str]:
        answer = await runtime.request(placing(), timeout=2)
        await runtime.drain(timeout=2)
        dead_letters = [dead_letter.reason for dead_letter in await runtime.dead_letters()]
        return await runtime.record(placing().subject), dead_letters, answer.data.message

    system = System([workflow(fails), paying(lambda _: Emit(CardCharged("r")))])
    (record, dead_letters, told), stats = running(system, work)

    assert record is not None
    assert (record.status, record.state, told) == ("failed", {"n": 1}, "no stock")
    assert record.failure is not None
    assert record.failure.message == "no stock"
    assert dead_letters == ["the workflow failed: no stock"]
    assert stats == Stats(handled=3, failed=1, answered=1, dead_lettered=1)


def begun_elsewhere() -> Event[Any]:
    """Make an answer to a workflow that never began here."""
    asked = charging(subject=placing().subject, redirectto="arvo.orc.order.fulfil")
    return answering(asked, CardCharged("r"))


WRONG = Event.from_dict({**charging().to_dict(), "data": {"order_id": 1}})
FOREIGN = str(Subject.new("arvo.orc.other", "1.0.0", initiator=WEB, id="1"))


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (charging(to="com.no.one"), "to: expected the address of a handler"),
        (attrs.evolve(charging(), dataschema="#/x/1.0.0"), "dataschema: expected #/contracts"),
        (WRONG, "data.order_id: expected a string"),
        (placing(subject="junk"), "names no workflow"),
        (placing(subject=FOREIGN), "the subject belongs to arvo.orc.other"),
        (begun_elsewhere(), "no such workflow has begun"),
    ],
    ids=["address", "contract", "payload", "subject", "foreign", "stray"],
)
def test_a_request_that_is_refused_says_so_at_once(event: Event[Any], told: str) -> None:
    """Nobody waits thirty seconds for an answer that cannot come."""

    async def work(runtime: Runtime) -> str:
        with pytest.raises(Violated) as refused:
            await runtime.request(event, timeout=60)
        return str(refused.value)

    message, stats = running(shop, work)

    assert told in message
    assert stats.dead_lettered == (0 if event.to == "com.no.one" else 1)


def test_a_request_of_a_workflow_that_failed_is_refused_at_once() -> None:
    """B15: the event is a dead letter, and whoever waits is told."""

    async def work(runtime: Runtime) -> str:
        await runtime.send(placing())
        await runtime.drain(timeout=2)
        with pytest.raises(Violated) as refused:
            await runtime.request(begun_elsewhere(), timeout=60)
        return str(refused.value)

    message, _ = running(System([workflow(lambda _: Fail("no"))]), work)

    assert "came to nothing: the workflow failed: no" in message


def test_a_request_whose_answer_has_no_address_is_refused_at_once() -> None:
    """I8: the answer is a dead letter."""

    async def work(runtime: Runtime) -> tuple[str, int]:
        with pytest.raises(Violated) as refused:
            await runtime.request(charging(), timeout=60)
        return str(refused.value), len(await runtime.dead_letters())

    lost = paying(lambda _: Emit(CardCharged("r"), to="com.nobody.here"))
    (message, dead_letters), _ = running(System([lost]), work)

    assert "the answer to 'c1' goes nowhere: nobody is at 'com.nobody.here'" in message
    assert dead_letters == 1


def test_an_event_is_requested_once_at_a_time() -> None:
    """Two who wait for one id could not be told apart."""

    async def work(runtime: Runtime) -> None:
        first = asyncio.create_task(runtime.request(charging(), timeout=2))
        await asyncio.sleep(0)
        with pytest.raises(
            Violated, match="id: expected an id that nobody waits for yet, got 'c1'"
        ):
            await runtime.request(charging(), timeout=2)
        await first

    running(shop, work)


def test_a_request_that_takes_too_long_says_how_far_it_came() -> None:
    """The work goes on; an operator sees what is waited for."""

    async def work(runtime: Runtime) -> str:
        with pytest.raises(TimeoutError) as late:
            await runtime.request(placing(), timeout=0.05)
        return str(late.value)

    silent = System([workflow(lambda _: Emit(ChargeCard("o", 1.0))), paying(lambda _: None)])
    message, _ = running(silent, work)

    assert message.startswith("event 'i1' was not answered within 0.05 s; its workflow is active")


def test_a_late_event_is_counted() -> None:
    """B15, I8: an answer for a workflow that is done."""

    async def work(runtime: Runtime) -> None:
        await runtime.request(placing(), timeout=2)
        await runtime.send(begun_elsewhere())

    _, stats = running(shop, work)

    assert stats.late == 1


def sending(domain: str) -> System:
    return System([paying(lambda _: Emit(CardCharged("r"), domain=domain))])


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_an_event_with_a_domain_goes_to_its_listener(kind: str) -> None:
    """F175: a person in the loop; None takes all other domains."""
    got: list[tuple[str, str | None]] = []

    async def work(runtime: Runtime) -> None:
        @runtime.on_domain("other")
        def unused(event: Event[Any]) -> None:
            got.append(("other", event.domain))

        if kind == "plain":
            runtime.on_domain()(lambda event: got.append(("rest", event.domain)))
        else:

            @runtime.on_domain()
            async def rest(event: Event[Any]) -> None:
                await asyncio.sleep(0)
                got.append(("rest", event.domain))

        with pytest.raises(Violated, match="somebody listens to this domain already"):
            runtime.on_domain("other")(unused)
        await runtime.send(charging())

    _, stats = running(sending("human"), work)

    assert got == [("rest", "human")]
    assert stats == Stats(handled=1, sent_out=1)


@pytest.mark.parametrize(("failures", "left", "dead"), [(1, 1, 0), (2, 0, 1)])
def test_a_listener_that_raises_loses_nothing(failures: int, left: int, dead: int) -> None:
    """B34: the event comes again, and is a dead letter in the end."""
    tries: list[str] = []

    async def work(runtime: Runtime) -> None:
        @runtime.on_domain("human")
        def listener(event: Event[Any]) -> None:
            tries.append(event.id)
            if len(tries) <= failures:
                raise ConnectionError("no mail server")

        await runtime.send(charging())
        await runtime.drain(timeout=2)
        reasons = [dead_letter.reason for dead_letter in await runtime.dead_letters()]
        assert all("the listener of human raised ConnectionError" in each for each in reasons)

    _, stats = running(sending("human"), work, retry=FAST)

    assert stats == Stats(handled=1, retried=1, sent_out=left, dead_lettered=dead)


def test_a_listener_that_finds_a_broken_promise_is_not_asked_again() -> None:
    """Nobody waits for that to mend itself: an operator reads which field is wrong."""
    issue = Issue("status", "2xx", "410 Gone")

    async def work(runtime: Runtime) -> object:
        @runtime.on_domain("human")
        def listener(_: Event[Any]) -> None:
            raise Violated(ConfigViolation("they refuse this event", issue))

        await runtime.send(charging())
        await runtime.drain(timeout=2)
        [dead_letter] = await runtime.dead_letters()
        return dead_letter.violation

    violation, stats = running(sending("human"), work, retry=FAST)

    assert violation == ConfigViolation("they refuse this event", issue)
    assert stats == Stats(handled=1, dead_lettered=1)


def test_a_request_that_is_not_even_taken_in_time_says_so() -> None:
    """Its sender must send it again: nobody works on it."""

    async def work() -> str:
        never = asyncio.Event()

        async def block(_: Event[Any]) -> None:
            await never.wait()

        async with Runtime(sending("human"), MemoryBackend(queue_max=1)) as runtime:
            runtime.on_domain("human")(block)
            await runtime.send(charging("c1"))
            with pytest.raises(Unavailable) as full:
                await runtime.request(charging("c2"), timeout=0.05)
            never.set()
        return str(full.value)

    assert asyncio.run(work()) == "event 'c2' was not taken within 0.05 s: the queue is full"


def test_a_domain_that_nobody_listens_to_is_a_dead_letter() -> None:
    """B34, I8: an approval that nobody sees must not vanish."""

    async def work(runtime: Runtime) -> None:
        await runtime.send(charging())

    _, stats = running(sending("human"), work)

    assert stats == Stats(handled=1, dead_lettered=1)


def test_an_effect_is_retried_within_the_step_by_its_own_policy() -> None:
    """B35: as many tries as asked for, then the handler decides."""
    tries: list[int] = []

    async def flaky(key: str) -> str:
        tries.append(len(tries))
        if len(tries) == 1:
            await asyncio.sleep(60)
        if len(tries) == 2:
            raise ConnectionError(key)
        return "r"

    def handler(event: Event[ChargeCard]) -> Effects[Emit]:
        retry = Retry(attempts=3, delay=0.0)
        receipt = yield from call(flaky, event.data.order_id, retry=retry, timeout=0.02)
        return Emit(CardCharged(receipt))

    async def work(runtime: Runtime) -> object:
        return (await runtime.request(charging(), timeout=2)).data

    answer, stats = running(System([paying(handler)]), work)

    assert (answer, len(tries)) == (CardCharged("r"), 3)
    assert stats == Stats(handled=1, answered=1)


@pytest.mark.parametrize("prefetch", [1, 3, {"com.payment.charge": 2}])
def test_a_handler_works_on_at_most_so_many_at_a_time(prefetch: Any) -> None:
    """A database has so many connections."""
    now: list[int] = [0]
    most: list[int] = [0]

    async def slow(_: str) -> None:
        now[0] += 1
        most[0] = max(most[0], now[0])
        await asyncio.sleep(0.02)
        now[0] -= 1

    def handler(event: Event[ChargeCard]) -> Effects[None]:
        yield from call(slow, event.data.order_id)

    async def work(runtime: Runtime) -> None:
        await asyncio.gather(*(runtime.send(charging(f"c{n}")) for n in range(12)))

    _, stats = running(System([paying(handler)]), work, prefetch=prefetch)

    assert most[0] == (prefetch if isinstance(prefetch, int) else 2)
    assert stats.handled == 12


def test_one_workflow_takes_one_turn_at_a_time_and_others_go_on() -> None:
    """Design section 8: per subject, some serial order (I4)."""
    inside: dict[str, int] = {}
    overlaps: list[str] = []
    together: list[int] = []

    async def slow(subject: str) -> None:
        inside[subject] = inside.get(subject, 0) + 1
        together.append(sum(inside.values()))
        if inside[subject] > 1:
            overlaps.append(subject)
        await asyncio.sleep(0.002)
        inside[subject] -= 1

    def handler(turn: Turn[Any]) -> Effects[Any]:
        yield from call(slow, turn.event.subject)
        return [Emit(ChargeCard(str(n), 1.0)) for n in range(5)] if turn.input else None

    async def work(runtime: Runtime) -> None:
        for n in range(4):
            await runtime.send(placing(f"i{n}"))

    system = System([workflow(handler), paying(lambda _: Emit(CardCharged("r")))])
    _, stats = running(system, work)

    assert overlaps == []
    assert max(together) > 1
    assert stats.handled == 4 + 20 + 20


def test_a_full_queue_makes_senders_wait_and_loses_nothing() -> None:
    """Bounded everywhere; also where each event brings forth others."""

    async def work(runtime: Runtime) -> None:
        await asyncio.gather(*(runtime.send(placing(f"i{n}")) for n in range(50)))

    _, stats = running(shop, work, backend=MemoryBackend(queue_max=2))

    assert stats == Stats(handled=250, answered=50)


def test_a_stop_finishes_what_is_in_hand_and_tells_who_waits() -> None:
    """Graceful: no half work, no waiter left hanging."""
    started = asyncio.Event()
    finished: list[str] = []

    async def slow(key: str) -> None:
        started.set()
        await asyncio.sleep(0.05)
        finished.append(key)

    def handler(event: Event[ChargeCard]) -> Effects[Emit]:
        yield from call(slow, event.data.order_id)
        return Emit(CardCharged("r"))

    async def go() -> Stats:
        async with Runtime(System([paying(handler)]), on(), prefetch=1) as runtime:
            first, second = (
                asyncio.create_task(runtime.request(charging(f"c{n}"), timeout=60)) for n in (1, 2)
            )
            await started.wait()
        # What a handler finishes during the stop still goes home.
        assert (await first).data == CardCharged("r")
        with pytest.raises(NoReply, match="before event 'c2' was answered"):
            await second
        return runtime.stats()

    stats = within(go())

    assert finished == ["o1"]
    assert stats.handled == 1


def test_a_sender_that_waits_for_room_is_told_of_the_stop() -> None:
    """It would wait for ever: nobody makes room any more."""

    async def stuck(_: str) -> None:
        await asyncio.sleep(60)

    def handler(event: Event[ChargeCard]) -> Effects[None]:
        yield from call(stuck, event.data.order_id)

    async def go() -> None:
        runtime = Runtime(System([paying(handler)]), MemoryBackend(queue_max=1))
        await runtime.__aenter__()
        await runtime.send(charging("c1"))
        waiting = asyncio.create_task(runtime.send(charging("c2")))
        await asyncio.sleep(0.01)
        await runtime.stop(timeout=0.01)
        with pytest.raises(Unavailable):
            await waiting

    within(go())


def test_a_runtime_that_is_not_running_takes_nothing() -> None:
    """Before, after; and it may be entered again."""

    async def go() -> None:
        runtime = Runtime(shop, on())
        for key in ("first", "again"):
            with pytest.raises(Violated, match="runtime: expected `async with Runtime"):
                await runtime.send(charging())
            with pytest.raises(Violated, match="the runtime takes nothing now"):
                await runtime.request(charging())
            with pytest.raises(Violated, match="the runtime takes nothing now"):
                await runtime.drain()
            async with runtime:
                await runtime.request(charging(key), timeout=2)

    within(go())


def test_a_drain_that_takes_too_long_says_what_is_under_way() -> None:
    """A number to begin with."""

    async def stuck(_: str) -> None:
        await asyncio.sleep(60)

    def handler(event: Event[ChargeCard]) -> Effects[None]:
        yield from call(stuck, event.data.order_id)

    async def go() -> None:
        runtime = Runtime(System([paying(handler)]), on(), prefetch=1)
        async with runtime:
            await runtime.send(charging("c1"))
            await runtime.send(charging("c2"))
            with pytest.raises(TimeoutError, match=r"ready=1, taken=1, delayed=0"):
                await runtime.drain(timeout=0.02)
            await runtime.stop(timeout=0.01)

    within(go())


def test_a_dead_letter_can_be_retried_when_its_cause_is_mended() -> None:
    """The same event, delivered again: a violation changed nothing (I5)."""
    mended: list[bool] = []

    def handler(event: Event[ChargeCard]) -> Commands:
        return Emit(CardCharged("r") if mended else {"receipt": 1}, type="evt.payment.charged")

    async def work(runtime: Runtime) -> None:
        await runtime.send(charging())
        await runtime.drain(timeout=2)
        (dead_letter,) = await runtime.dead_letters()
        assert "data.receipt: expected a string, got 1" in dead_letter.reason
        assert (dead_letter.event, dead_letter.attempts, dead_letter.at[:4]) == (
            charging(),
            1,
            "2030",
        )
        mended.append(True)
        await runtime.redrive_dead_letter(dead_letter.id)
        await runtime.drain(timeout=2)
        assert await runtime.dead_letters() == ()
        for act in (runtime.redrive_dead_letter, runtime.delete_dead_letter):
            with pytest.raises(Violated, match="id: expected the id of a dead letter"):
                await act(dead_letter.id)

    _, stats = running(
        System([paying(handler)]), work, now=lambda: datetime(2030, 1, 1, tzinfo=UTC)
    )

    assert stats == Stats(handled=1, dead_lettered=1, answered=1)


def test_a_dead_letter_can_be_dropped() -> None:
    """By a person, on purpose."""

    async def work(runtime: Runtime) -> None:
        await runtime.send(begun_elsewhere())
        await runtime.drain(timeout=2)
        (dead_letter,) = await runtime.dead_letters()
        await runtime.delete_dead_letter(dead_letter.id)
        assert await runtime.dead_letters() == ()

    running(shop, work)


def test_a_dead_letter_that_still_nobody_can_take_stays() -> None:
    """A retry must not lose it."""

    async def work(runtime: Runtime) -> int:
        await runtime.send(charging())
        await runtime.drain(timeout=2)
        (dead_letter,) = await runtime.dead_letters()
        with pytest.raises(Violated, match="nobody can take event"):
            await runtime.redrive_dead_letter(dead_letter.id)
        return len(await runtime.dead_letters())

    lost = System([paying(lambda _: Emit(CardCharged("r"), to="com.nobody.here"))])
    dead_letters, _ = running(lost, work)

    assert dead_letters == 1


@pytest.mark.parametrize(
    "url", ["", "memory", "memorie:", "mysql://x", "nonsense", "memory: memory: memory:"]
)
def test_a_backend_that_nobody_knows_is_refused(url: str) -> None:
    """With what there is."""
    with pytest.raises(Violated, match="backend: expected memory:, "):
        Runtime(shop, url)


@pytest.mark.parametrize("prefetch", [0, -1, {"com.payment.charge": 0}])
def test_a_lane_that_would_never_be_worked_on_is_refused(prefetch: Any) -> None:
    """At construction, before any task is there to be left behind."""
    with pytest.raises(Violated, match="prefetch: expected 1 or more"):
        Runtime(shop, prefetch=prefetch)


def test_what_a_handler_logs_is_logged_with_its_attributes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Names that logging keeps for itself must not make a committed event be handled again."""
    log = Log("info", "charged %s", {"name": "x", "message": "y", "args": 1})

    async def work(runtime: Runtime) -> None:
        await runtime.send(charging())

    with caplog.at_level(logging.INFO, logger="arvo"):
        _, stats = running(System([paying(lambda _: log)]), work)

    (record,) = [each for each in caplog.records if each.message == "charged %s"]
    assert record.__dict__["arvo_attributes"] == log.attributes
    assert record.__dict__["arvo_event"] == "c1"
    assert stats == Stats(handled=1)


@attrs.define
class Shaky:
    """A memory backend whose commits are unavailable at first."""

    failures: int
    inner: MemoryBackend = attrs.field(factory=MemoryBackend)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def commit(self, *args: Any) -> Any:
        if self.failures > 0:
            self.failures -= 1
            raise Unavailable("no connection")
        return await self.inner.commit(*args)


@pytest.mark.parametrize(("failures", "handled", "dead"), [(1, 1, 0), (2, 0, 1)])
def test_an_outage_is_waited_out_and_in_the_end_told(
    failures: int, handled: int, dead: int
) -> None:
    """I1: nothing is lost; whoever waits is told at once."""

    async def work(runtime: Runtime) -> str:
        try:
            return (await runtime.request(charging(), timeout=60)).type
        except Violated as violated:
            return str(violated)

    told, stats = running(
        System([paying(lambda _: Emit(CardCharged("r")))]),
        work,
        backend=Shaky(failures),
        retry=FAST,
    )

    assert (stats.handled, stats.dead_lettered) == (handled, dead)
    assert ("evt.payment.charged" if handled else "Unavailable: no connection") in told


def test_a_request_is_told_that_its_handler_answers_nothing() -> None:
    """A caller should not wait thirty seconds for what will never come."""
    silent = System([EventHandler(charge, {"1.0.0": lambda _: None})])

    async def ask() -> None:
        async with Runtime(silent, on()) as runtime:
            with pytest.raises(NoReply, match="answers nothing"):
                await runtime.request(charging(), timeout=5)

    asyncio.run(ask())


def test_a_dead_letter_keeps_its_violation() -> None:
    """A report tells contract from configuration, and names each field, without reading prose."""
    refusing = System([EventHandler(charge, {"1.0.0": lambda _: Emit({}, type="evt.unknown.x")})])

    async def ask() -> None:
        async with Runtime(refusing, on()) as runtime:
            with pytest.raises(Violated) as refused:
                await runtime.request(charging(), timeout=5)
            (dead_letter,) = await runtime.dead_letters()

            assert dead_letter.violation == refused.value.violation
            assert isinstance(dead_letter.violation, ContractViolation)

    asyncio.run(ask())


def test_an_answer_to_another_sender_of_that_id_is_not_ours() -> None:
    """An id is its sender's own: `1` of the web is not `1` of the till (CloudEvents 1.0 §id)."""

    async def slow(key: str) -> str:
        await asyncio.sleep(0.05 if key == "ours" else 0)
        return key

    def handler(event: Event[ChargeCard]) -> Effects[Emit]:
        key = yield from call(slow, event.data.order_id)
        return Emit(CardCharged(key))

    async def go() -> Event[Any]:
        accepts = charge["1.0.0"].accepts
        async with Runtime(System([paying(handler)]), on()) as runtime:
            ours = accepts(ChargeCard("ours", 1.0), source=WEB, id="1", subject="cart/7")
            theirs = accepts(
                ChargeCard("theirs", 1.0), source="com.shop.till", id="1", subject="cart/7"
            )
            answer = asyncio.create_task(runtime.request(ours, timeout=5))
            await asyncio.sleep(0)
            await runtime.send(theirs)
            return await answer

    assert within(go()).data == CardCharged("ours")


def test_a_cancellation_inside_an_effect_is_the_effects_error() -> None:
    """What somebody else cancelled must not end a worker, or its lane would stand still."""

    async def waits_for_what_is_cancelled(_: str) -> None:
        waiting = asyncio.get_running_loop().create_future()
        waiting.cancel()
        await waiting

    def handler(event: Event[ChargeCard]) -> Effects[Emit]:
        if event.data.order_id == "o1":
            yield from call(waits_for_what_is_cancelled, event.data.order_id)
        return Emit(CardCharged("r"))

    async def go() -> tuple[Event[Any], Event[Any]]:
        async with Runtime(System([paying(handler)]), on(), prefetch=1) as runtime:
            failed = await runtime.request(charging("c1"), timeout=5)
            other = charge["1.0.0"].accepts(ChargeCard("o2", 1.0), source=WEB)
            return failed, await runtime.request(other, timeout=5)

    failed, handled = within(go())

    assert "was cancelled" in failed.data.message
    assert handled.data == CardCharged("r")


def test_a_request_is_told_that_its_event_was_consumed_before() -> None:
    """A retry of a client's must not wait for an answer that has gone out already."""

    async def go() -> None:
        async with Runtime(shop, on()) as runtime:
            event = charging("c1")
            await runtime.request(event, timeout=5)
            with pytest.raises(NoReply, match="consumed before"):
                await runtime.request(event, timeout=5)

    within(go())


def test_what_a_forced_stop_leaves_is_taken_up_again() -> None:
    """In the same process nothing is lost: the next start finds it."""
    hurry = asyncio.Event()

    async def slow(key: str) -> str:
        if not hurry.is_set():
            await asyncio.sleep(60)
        return key

    def handler(event: Event[ChargeCard]) -> Effects[Emit]:
        key = yield from call(slow, event.data.order_id)
        return Emit(CardCharged(key))

    async def go() -> Stats:
        runtime = Runtime(System([paying(handler)]), on(), prefetch=1)
        async with runtime:
            await runtime.send(charging("c1"))
            await asyncio.sleep(0.01)
            await runtime.stop(timeout=0.01)
        hurry.set()
        async with runtime:
            return await runtime.drain(timeout=5)

    assert within(go()).handled == 1


def test_what_goes_wrong_after_a_commit_does_not_undo_it() -> None:
    """A log filter of the user's that raises must not have the event handled twice."""

    def broken(_: logging.LogRecord) -> bool:
        raise ValueError("filter")

    def handler(_: Event[ChargeCard]) -> Commands:
        return Log("info", "said"), Emit(CardCharged("r"))

    async def go() -> Stats:
        async with Runtime(System([paying(handler)]), on(), prefetch=1) as runtime:
            await runtime.request(charging("c1"), timeout=5)
            return await runtime.drain(timeout=5)

    logger = logging.getLogger("arvo")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addFilter(broken)
    try:
        stats = within(go())
    finally:
        logger.removeFilter(broken)
        logger.setLevel(before)

    assert (stats.handled, stats.retried) == (1, 0)
