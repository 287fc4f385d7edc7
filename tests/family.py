"""Family: three generations of workflows whose events say what they shall do."""

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

# What is done and undone: each by its name.
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
    """Say what a run shall do: *does* is wait, complete, fail or raise.

    *after*: seconds until it completes all the same. *undos*: names of deeds that undo, in the
    order they are registered. *last*: what it does when it is cancelled. *domain*: where it runs.
    """
    return {"does": does, "children": list(children), **more}


def live(below: str | None, turn: Turn[Any]) -> tuple[Command, ...]:
    """Begin the children, then do what the plan says; a run that waits ends with its children."""
    return tuple(_life(turn, below))


def _life(turn: Turn[Any], below: str | None) -> Iterator[Command]:
    match turn.event.data:
        case Cancellation():
            yield from _do(turn.state["plan"].get("last", "wait"))
        case TimerFired():
            yield Complete({})
        case SystemFault():
            yield from _heard(turn)
        case _ if turn.input is None and turn.event.type != "evt.family.deed.done":
            yield from _heard(turn)
        case said if turn.input is not None:
            yield Persist({"plan": said, "heard": []})
            for child in said["children"]:
                yield Emit(child, type=below, domain=child.get("domain"))
            for name in said.get("undos", ()):
                yield Compensate(Emit({"name": name}, type=deed.type))
            if "after" in said:
                yield Schedule("end", after=said["after"])
            yield from _do(said["does"])
        case _:
            pass


def _do(what: str) -> Iterator[Command]:
    match what:
        case "complete":
            yield Complete({})
        case "fail":
            yield Fail("as planned")
        case "raise":
            raise ValueError("as planned")
        case _:
            pass


def _heard(turn: Turn[Any]) -> Iterator[Command]:
    data = turn.event.data
    said = data.name if isinstance(data, SystemFault) else "done"
    heard = [*turn.state["heard"], said]
    yield Persist({**turn.state, "heard": heard})
    if len(heard) == len(turn.state["plan"]["children"]) and "after" not in turn.state["plan"]:
        yield Complete({})


def does_deeds(event: Event[Any]) -> Command:
    """Do a deed; one that is named after failing fails."""
    if event.data.get("name") == "failing":
        return Fail("cannot be undone")
    return Emit({}, type="evt.family.deed.done")


deeds = EventHandler(deed, {"1.0.0": does_deeds})
family = System(
    [
        Resumable(
            each,
            {"1.0.0": partial(live, None if below is None else below.type)},
            services=[deed["1.0.0"], *([] if below is None else [below["1.0.0"]])],
        )
        for each, below in ((top, middle), (middle, leaf), (leaf, None))
    ]
    + [deeds]
)


def begin(said: Any, contract: Any = top, **envelope: Any) -> Event[Any]:
    """Begin a run, the same each time."""
    with stamping(lambda: Stamp("begin", TIME)):
        event: Event[Any] = contract["1.0.0"].init(
            said, **{"source": WEB, "id": "begin", **envelope}
        )
        return event


def cancel(subject: str, contract: Any = top, time: str = TIME, by: str = "cancel") -> Event[Any]:
    """Cancel a run from outside."""
    event: Event[Any] = contract["1.0.0"].cancel(
        "enough", source="com.shop.desk", subject=subject, id=by, time=time
    )
    return event


def runs_of(trace: Trace, name: str) -> list[Record]:
    """Give the records of all runs of one generation, in the order they began."""
    return [each for each in trace.records.values() if each.handler == f"arvo.orc.family.{name}"]


def heard_by(trace: Trace, subject: str) -> list[str]:
    """Give what a run has heard of its children: done, or the name of an error."""
    state: Any = trace.records[subject].state
    heard: list[str] = state["heard"]
    return heard


def told(trace: Trace, kind: str) -> list[Event[Any]]:
    """Give the events of a type that ends so."""
    return [event for event in trace.events if event.type.endswith(kind)]


def lived(said: Any, *more: Event[Any]) -> Trace:
    """Run a family to its rest."""
    return run(family, begin(said), *more)
