"""Systems: generated systems of generated contracts, with events for them to take."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import attrs
from hypothesis import strategies as st

from arvo.core.command import Command, Complete, Emit, Fail, Log, Persist, Violate
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.specialised import OrchestratorContract
from arvo.core.contracts.version_spec import Version, Workflow
from arvo.core.events.domain import Domain, DomainRule
from arvo.core.events.event import Event
from arvo.core.violations.violation import ExecutionViolation
from arvo.engine.system.system import System
from arvo.handlers.effect import Effects, call
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import Reply
from arvo.handlers.resumable import Resumable, Turn

Script: TypeAlias = tuple[Command, ...] | None

# Small words: what a law breaks on is the shape of a system, not the names in it.
_FIELDS: Final[Mapping[str, Any]] = {
    "count": int,
    "name": str,
    "ok": bool,
    "tags": tuple[str, ...],
    "note": str | None,
}
_VALUES: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "count": st.integers(-5, 5),
    "name": st.text(st.characters(codec="utf-8"), max_size=5),
    "ok": st.booleans(),
    "tags": st.lists(st.sampled_from(["x", "y"]), max_size=3).map(tuple),
    "note": st.none() | st.just("n"),
}
_RULES: Final[st.SearchStrategy[Sequence[DomainRule]]] = st.lists(
    st.sampled_from([None, "ops", *Domain]), max_size=3
)


def ask(event_id: str) -> int:
    """The effect that generated handlers ask for; laws answer it from a table."""
    raise NotImplementedError(f"{event_id}: this effect is answered by a table")


@st.composite
def systems(draw: st.DrawFn) -> tuple[System, Event[Any]]:
    """Draw a system of one workflow and its services, and an event that begins something in it.

    Handlers do what a drawn script says: answer, fail, violate, raise, ask for an effect (`ask`),
    or return what they may not. Which of its replies a handler gives follows from the event's id.
    """
    services = [draw(_services(number)) for number in range(draw(st.integers(1, 3)))]
    handlers = [handler for handler, _ in services]
    init, done = draw(_classes("Init")), draw(_classes("Done"))
    contract: OrchestratorContract[Any, Any] = OrchestratorContract(
        uri="#/generated/workflow",
        name="generated.workflow",
        domain=draw(st.none() | st.just("flow")),
        versions={"1.0.0": Workflow(init=init, complete=done)},
    )
    asks = st.one_of([_emits(accepted) for _, accepted in services])
    script = draw(
        st.lists(
            st.one_of(
                st.none(),
                st.lists(asks, max_size=3).map(tuple),
                st.tuples(asks, st.builds(Persist, st.dictionaries(st.just("n"), st.integers()))),
                st.tuples(_instances(done).map(Complete)),
                st.tuples(st.just(Log("info", "said")), st.just(Fail("no"))),
                st.just((Violate(ExecutionViolation("refused")),)),
            ),
            min_size=1,
            max_size=4,
        )
    )
    workflow = Resumable(
        contract,
        {"1.0.0": partial(_turn, script)},
        services=[handler.contract["1.0.0"] for handler in handlers],
    )
    system = System([*handlers, workflow])
    begins = contract["1.0.0"].init(
        draw(_instances(init)), source="com.test.client", id="init", domain=draw(_domain())
    )
    handler, accepted = draw(st.sampled_from(services))
    alone = handler.contract["1.0.0"].accepts(
        draw(_instances(accepted)), source="com.test.client", id="alone", domain=draw(_domain())
    )
    return system, draw(st.sampled_from([begins, alone]))


def _domain() -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(["ops", "human"])


@st.composite
def _services(draw: st.DrawFn, number: int) -> tuple[EventHandler[Any], type]:
    accepted, success = draw(_classes(f"Ask{number}")), draw(_classes(f"Answer{number}"))
    contract: Contract[Any] = Contract(
        uri=f"#/generated/service{number}",
        type=f"com.generated.service{number}",
        domain=draw(st.none() | st.just("far")),
        versions={
            "1.0.0": Version(accepts=accepted, emits={f"evt.generated.{number}.done": success})
        },
    )
    scripts = draw(
        st.lists(
            st.one_of(
                st.none(),
                st.lists(_emits(success), max_size=2).map(tuple),
                st.just((Fail("down"),)),
                st.just((Violate(ExecutionViolation("refused")),)),
                # A handler of single events has nothing to remember: this must be refused.
                st.just((Persist({}),)),
            ),
            min_size=1,
            max_size=3,
        )
    )
    asks, raises = draw(st.booleans()), draw(st.booleans())
    function = partial(_answer, scripts, asks=asks, raises=raises)
    return EventHandler(contract, {"1.0.0": function}), accepted


def _classes(name: str) -> st.SearchStrategy[type]:
    names = st.sets(st.sampled_from(sorted(_FIELDS)), min_size=1)
    return names.map(lambda chosen: _class(name, tuple(sorted(chosen))))


# The same class for the same fields: a payload is compiled once for a class.
@lru_cache(maxsize=512)
def _class(name: str, chosen: tuple[str, ...]) -> type:
    fields = {field: attrs.field(type=_FIELDS[field]) for field in chosen}
    return attrs.make_class(name, fields, frozen=True)


def _instances(cls: type) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{field.name: _VALUES[field.name] for field in attrs.fields(cls)})


def _emits(cls: type) -> st.SearchStrategy[Emit]:
    return st.builds(
        Emit,
        _instances(cls),
        domain=_RULES,
        to=st.none() | st.just("com.elsewhere.entirely"),
        executionunits=st.none() | st.integers(0, 3),
    )


def _answer(scripts: Sequence[Script], event: Event[Any], *, asks: bool, raises: bool) -> Reply:
    if not asks:
        return _played(scripts, event.id, raises=raises)
    return _asking(scripts, event, raises=raises)


def _asking(scripts: Sequence[Script], event: Event[Any], *, raises: bool) -> Effects[Script]:
    answer = yield from call(ask, event.id)
    return _played(scripts, f"{event.id}{answer}", raises=raises)


def _turn(scripts: Sequence[Script], turn: Turn[Any]) -> Reply:
    return _played(scripts, turn.event.id, raises=False)


def _played(scripts: Sequence[Script], key: str, *, raises: bool) -> Script:
    drawn = blake2b(key.encode(), digest_size=4).digest()[0]
    if raises and drawn % 5 == 0:
        raise ValueError("broken")
    return scripts[drawn % len(scripts)]
