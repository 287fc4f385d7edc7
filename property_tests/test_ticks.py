"""Laws of ticks: to step events together, in chains, is to step them one by one."""

from collections import deque
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from typing import Any

from attrs import define, evolve, field
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import Commands, Commit, Effects, Emit, Event, Record, System, Turn, call
from arvo.core.replies import Replies
from arvo.core.trace_context import TraceContext
from arvo.engine.chain import Chain, Tick, TraceTurn
from arvo.engine.step.route import Route, ToHandler, route
from arvo.engine.step.step import step_plain
from tests.shop import (
    NOW,
    BookShipment,
    CardCharged,
    CardDeclined,
    ChargeCard,
    PlaceOrder,
    charge_request,
    fulfilment,
    make_workflow,
    order_request,
    payment_handler,
    shipping,
)

# The amounts for which the payment asks for an effect, and is declined.
BY_EFFECT, TOO_MUCH = 7.0, 2_000.0


def pay(event: Event[ChargeCard]) -> Effects[Emit]:
    if event.data.amount == BY_EFFECT:
        yield from call(str, "r")
    if event.data.amount == TOO_MUCH:
        return Emit(CardDeclined("limit"))
    return Emit(CardCharged("r"))


def gather(turn: Turn[Any]) -> Effects[Commands]:
    """Charge many cards at once; where one is declined, ask for an effect."""
    match turn.event.data:
        case PlaceOrder(amount=number):
            cards = [(10.0, TOO_MUCH, 10.0, BY_EFFECT)[place % 4] for place in range(int(number))]
            return tuple(
                Emit(ChargeCard("o1", amount), id=f"c{place}") for place, amount in enumerate(cards)
            )
        case CardDeclined():
            yield from call(str, "asked")
        case CardCharged() if len(turn.collected["evt.payment.charged"]) == 3:
            return Emit(BookShipment("o1"))
    return None


system = System([payment_handler(pay), shipping, fulfilment])
gathering = System([payment_handler(pay), shipping, make_workflow(gather)])

amounts = st.sampled_from([10.0, BY_EFFECT, TOO_MUCH])


def begins(numbers: Sequence[float]) -> list[Event[Any]]:
    return [order_request(f"i{place}", amount) for place, amount in enumerate(numbers)]


def misfits(number: int) -> list[Event[Any]]:
    """Make events that no chain can begin with: of a version, or an effect, or a workflow that is
    not there.
    """
    unknown = evolve(charge_request("v"), dataschema="#/contracts/payment/charge/9.0.0")
    signal = evolve(order_request("never"), type="evt.payment.charged", id="early")
    return [unknown, charge_request("e", BY_EFFECT), signal][:number]


@define
class World:
    """The records, the events that left the system, and those that wait for a worker by itself."""

    records: dict[str, Record] = field(factory=dict)
    outbound: list[str] = field(factory=list)
    alone: list[str] = field(factory=list)

    def add(self, commit: Commit) -> None:
        if commit.record is not None:
            self.records[commit.record.subject] = commit.record

    @property
    def result(self) -> Any:
        return self.records, sorted(self.outbound), sorted(self.alone)


def step_one_by_one(events: Sequence[Event[Any]], system: System = system) -> World:
    """Step events in order, and what they emit behind them."""
    world, waiting = World(), deque(events)
    while waiting:
        event = waiting.popleft()
        commit = step_plain(system, event, world.records.get(event.subject), now=NOW)
        if not isinstance(commit, Commit) or commit.outcome == "unknown_workflow":
            world.alone.append(event.id)
            continue
        world.add(commit)
        for emitted in commit.events:
            if isinstance(route(system, emitted, event), ToHandler):
                waiting.append(emitted)
            else:
                world.outbound.append(emitted.id)
    return world


@define
class Ticks:
    """The bounds of ticks: their *sizes*, which are repeated, the turns and the followers of a
    chain.
    """

    sizes: Sequence[int]
    turns_max: int
    followers_max: int = 0


def step_in_ticks(
    events: Sequence[Event[Any]], ticks: Ticks, system: System = system
) -> tuple[World, int]:
    """Step events in ticks, and what they leave behind them; return the number of followers."""
    world, followed = World(), 0
    waiting = [(event, to_handler(system, event)) for event in events]
    for size in cycle(ticks.sizes):
        heads = take_heads(waiting, size)
        if not heads:
            return world, followed
        tick = make_tick(world, [event for event, _ in heads], ticks.turns_max, system)
        left: list[tuple[Event[Any], Route]] = []
        for event, to in heads:
            behind = [each for each in waiting if to.key is not None and each[1].key == to.key]

            is_busy = partial(has_others, [each for _, each in waiting], to)
            chain = tick.take(event, to, is_busy, behind[: ticks.followers_max])
            if chain is None:
                world.alone.append(event.id)
                continue
            consumed = behind[: chain.followers]
            check_chain(world, chain, [event, *(event for event, _ in consumed)], system)
            waiting = [each for each in waiting if each not in consumed]
            left += chain.events
            followed += chain.followers
        for each, destination in left:
            if isinstance(destination, ToHandler):
                waiting.append((each, destination))
            else:
                world.outbound.append(each.id)
    raise AssertionError("unreachable")


def has_others(waiting: Sequence[ToHandler], own: ToHandler, key: str, number: int) -> bool:
    """Return whether more events of a key wait than a chain has followers."""
    return sum(each.key == key for each in waiting) > (number if key == own.key else 0)


def take_heads(
    waiting: list[tuple[Event[Any], ToHandler]], size: int
) -> list[tuple[Event[Any], ToHandler]]:
    """Take the first *size* events out of those that wait, one of each key."""
    heads: list[tuple[Event[Any], ToHandler]] = []
    keys: set[str] = set()
    for each in tuple(waiting):
        key = each[1].key
        if len(heads) < size and key not in keys:
            heads.append(each)
            waiting.remove(each)
            keys.update(() if key is None else (key,))
    return heads


def to_handler(system: System, event: Event[Any]) -> ToHandler:
    to = route(system, event, None)
    assert isinstance(to, ToHandler)
    return to


def make_tick(
    world: World, events: Sequence[Event[Any]], turns_max: int = 256, system: System = system
) -> Tick:
    return Tick(
        system=system,
        find_record=dict(world.records).get,
        now=NOW,
        keys=frozenset(key for event in events if (key := to_handler(system, event).key)),
        turns_max=turns_max,
    )


def check_chain(
    world: World, chain: Chain, consumed: Sequence[Event[Any]], system: System = system
) -> None:
    """Each commit is that of a step, on the record that the commits before it leave. The first ones
    consume *consumed*, each other one an event that is emitted before. Each emitted one is consumed
    or left, once.
    """
    assert [commit.event for commit in chain.commits[: len(consumed)]] == list(consumed)
    known = list(consumed)
    for commit in chain.commits:
        assert commit.event in known
        known.remove(commit.event)
        record = world.records.get(commit.event.subject)
        assert commit == step_plain(system, commit.event, record, now=NOW)
        world.add(commit)
        known += commit.events
    assert sorted(event.id for event in known) == sorted(event.id for event, _ in chain.events)


@given(
    st.lists(amounts, min_size=1, max_size=6),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(1, 8),
)
def test_any_grouping_ends_as_stepping_one_by_one(
    numbers: list[float], sizes: list[int], turns_max: int
) -> None:
    """Records, ids and all that leaves the system are the same."""
    events = begins(numbers)
    expected = step_one_by_one(events)
    note(f"{len(expected.alone)} by themselves")

    world, _ = step_in_ticks(events, Ticks(sizes, turns_max))

    assert world.result == expected.result


@given(
    st.lists(st.integers(1, 9).map(float), min_size=1, max_size=3),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(1, 8),
    st.integers(0, 6),
)
def test_any_number_of_followers_ends_as_stepping_one_by_one(
    numbers: list[float], sizes: list[int], turns_max: int, followers_max: int
) -> None:
    """Many replies wait for a workflow; however many a chain takes, they have their turns in their
    order, and one that asks for an effect is waited for.
    """
    events = begins(numbers)
    expected = step_one_by_one(events, gathering)

    world, followed = step_in_ticks(events, Ticks(sizes, turns_max, followers_max), gathering)

    note(f"followers: {bool(followed)}, {bool(expected.alone)} by themselves")
    assert world.result == expected.result


@given(st.lists(amounts, min_size=1, max_size=4), st.integers(1, 3), st.randoms())
def test_a_misfit_changes_no_other_chain(numbers: list[float], number: int, random: Any) -> None:
    """An event that is refused, or asks for an effect, falls out; the others are as without it."""
    events, others = begins(numbers), misfits(number)
    mixed = [*events, *others]
    random.shuffle(mixed)
    among, without = make_tick(World(), mixed), make_tick(World(), events)

    chains = {event.id: take(among, event) for event in mixed}

    assert all(chains.pop(event.id) is None for event in others)
    assert chains == {event.id: take(without, event) for event in events}


def take(tick: Tick, event: Event[Any], trace: TraceTurn | None = None) -> Chain | None:
    to = to_handler(system, event)
    return tick.take(event, to, lambda key, number: False, trace=trace)


@given(st.lists(amounts, min_size=1, max_size=4))
def test_each_turn_of_a_chain_has_a_trace_of_its_own(numbers: list[float]) -> None:
    """Its events carry it, so the next turn finds its parent in what it consumes; all else is as
    without a trace.
    """
    for event in begins(numbers):
        traces: list[TraceContext] = []

        def trace(commit: Commit, traces: list[TraceContext] = traces) -> TraceContext:
            traces.append(TraceContext(f"00-{1:032x}-{len(traces) + 1:016x}-01"))
            return traces[-1]

        chain = take(make_tick(World(), [event]), event, trace)
        plain = take(make_tick(World(), [event]), event)

        assert chain is not None
        assert plain is not None
        sender = {event.id: event.traceparent}
        for commit, context in zip(chain.commits, traces, strict=True):
            assert commit.event.traceparent == sender[commit.event.id]
            sender |= {it.id: context.traceparent for it in commit.events}
        assert [untraced(commit) for commit in chain.commits] == list(plain.commits)
        assert [(untraced_event(it), to) for it, to in chain.events] == list(plain.events)
        assert all(it.traceparent == sender[it.id] for it, _ in chain.events)


def untraced(commit: Commit) -> Commit:
    assert not commit.timers
    return evolve(
        commit,
        event=untraced_event(commit.event),
        events=tuple(untraced_event(event) for event in commit.events),
        record=untraced_record(commit.record),
        before=untraced_record(commit.before),
    )


def untraced_record(record: Record | None) -> Record | None:
    if record is None:
        return None
    return evolve(record, replies=Replies(tuple(map(untraced_event, record.replies.events))))


def untraced_event(event: Event[Any]) -> Event[Any]:
    return evolve(event, traceparent=None)


@given(st.lists(amounts, min_size=1, max_size=4))
def test_a_busy_key_ends_a_chain(numbers: list[float]) -> None:
    """What waits for the workflow comes before what a chain would pass on to it."""
    for event in begins(numbers):

        def is_busy(key: str, number: int, event: Event[Any] = event) -> bool:
            return key == event.subject

        to = to_handler(system, event)
        chain = make_tick(World(), [event]).take(event, to, is_busy)

        assert chain is not None
        assert [commit.event.id for commit in chain.commits if commit.record] == [event.id]
        assert all(commit.event.subject == event.subject for commit in chain.commits)
