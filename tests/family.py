"""Family: three generations of workflows whose init events tell them how to behave."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from arvo import (
    Cancellation,
    Command,
    Compensate,
    Complete,
    Contract,
    Emit,
    Event,
    EventHandler,
    Fail,
    OrchestratorContract,
    Persist,
    Record,
    Resumable,
    Schedule,
    Stamp,
    System,
    SystemFault,
    TimerFired,
    Trace,
    Turn,
    Version,
    Workflow,
    run,
    stamping,
)
from tests.shop import TIME, WEB

PLAN = {"type": "object"}
DONE = {"type": "object"}

# A deed is done, or compensated, by its name.
deed = Contract(
    uri="#/family/deed",
    type="com.family.deed",
    versions={"1.0.0": Version(accepts=PLAN, emits={"evt.family.deed.done": DONE})},
)
top, middle, leaf = (
    OrchestratorContract(
        uri=f"#/family/{name}",
        name=f"family.{name}",
        versions={"1.0.0": Workflow(init=PLAN, complete=DONE)},
    )
    for name in ("top", "middle", "leaf")
)


def plan(does: str = "wait", *children: Any, **more: Any) -> dict[str, Any]:
    """Return the plan of a run: *does* is wait, complete, fail or raise.

    *after*: seconds until it completes in any case. *compensations*: names of compensating deeds,
    in the order of their registration. *last*: its action when it is cancelled. *domain*: the
    domain it runs in.
    """
    return {"does": does, "children": list(children), **more}


def follow_plan(below: str | None, turn: Turn[Any]) -> tuple[Command, ...]:
    """Begin the children, then act by the plan; a waiting run ends with its children."""
    return tuple(_commands(turn, below))


def _commands(turn: Turn[Any], below: str | None) -> Iterator[Command]:
    match turn.event.data:
        case Cancellation():
            yield from _do(turn.state["plan"].get("last", "wait"))
        case TimerFired():
            yield Complete({})
        case SystemFault():
            yield from _note_reply(turn)
        case _ if turn.input is None and turn.event.type != "evt.family.deed.done":
            yield from _note_reply(turn)
        case plan if turn.input is not None:
            yield Persist({"plan": plan, "replies": []})
            for child in plan["children"]:
                yield Emit(child, type=below, domain=child.get("domain"))
            for name in plan.get("compensations", ()):
                yield Compensate(Emit({"name": name}, type=deed.type))
            if "after" in plan:
                yield Schedule("end", after=plan["after"])
            yield from _do(plan["does"])
        case _:
            pass


def _do(action: str) -> Iterator[Command]:
    match action:
        case "complete":
            yield Complete({})
        case "fail":
            yield Fail("as planned")
        case "raise":
            raise ValueError("as planned")
        case _:
            pass


def _note_reply(turn: Turn[Any]) -> Iterator[Command]:
    data = turn.event.data
    replies = [*turn.state["replies"], data.name if isinstance(data, SystemFault) else "done"]
    yield Persist({**turn.state, "replies": replies})
    if len(replies) == len(turn.state["plan"]["children"]) and "after" not in turn.state["plan"]:
        yield Complete({})


def do_deed(event: Event[Any]) -> Command:
    """Do a deed; the deed named `failing` fails."""
    if event.data.get("name") == "failing":
        return Fail("cannot be compensated")
    return Emit({}, type="evt.family.deed.done")


deeds = EventHandler(deed, {"1.0.0": do_deed})
family = System(
    [
        Resumable(
            contract,
            {"1.0.0": partial(follow_plan, None if below is None else below.type)},
            services=[deed["1.0.0"], *([] if below is None else [below["1.0.0"]])],
        )
        for contract, below in ((top, middle), (middle, leaf), (leaf, None))
    ]
    + [deeds]
)


def begin(plan: Any, contract: Any = top, **options: Any) -> Event[Any]:
    """Make the init event of a run; equal arguments make equal events."""
    with stamping(lambda: Stamp("begin", TIME)):
        event: Event[Any] = contract["1.0.0"].init(
            plan, **{"source": WEB, "id": "begin", **options}
        )
        return event


def cancel(subject: str, contract: Any = top, time: str = TIME, by: str = "cancel") -> Event[Any]:
    """Make the event that cancels a run from outside."""
    event: Event[Any] = contract["1.0.0"].cancel(
        "enough", source="com.shop.office", subject=subject, id=by, time=time
    )
    return event


def runs_of(trace: Trace, name: str) -> list[Record]:
    """Return the records of all runs of one generation, in the order they began."""
    handler = f"arvo.orc.family.{name}"
    return [record for record in trace.records.values() if record.handler == handler]


def replies_to(trace: Trace, subject: str) -> list[str]:
    """Return the replies of a run's children: done, or the name of an error."""
    state: Any = trace.records[subject].state
    replies: list[str] = state["replies"]
    return replies


def events_of_type(trace: Trace, suffix: str) -> list[Event[Any]]:
    """Return the events whose type ends with *suffix*."""
    return [event for event in trace.events if event.type.endswith(suffix)]


def run_family(plan: Any, *events: Event[Any]) -> Trace:
    """Run a family until it is idle."""
    return run(family, begin(plan), *events)
