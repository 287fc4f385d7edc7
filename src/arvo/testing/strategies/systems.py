"""Systems: a Hypothesis strategy for systems of generated contracts, with an event for each."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import attrs
from hypothesis import strategies as st

from arvo.core.command import Command, Complete, Emit, Fail, Log, Persist, Violate
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.orchestrator import OrchestratorContract
from arvo.core.contracts.version_spec import Version, Workflow
from arvo.core.events.domain import Domain, DomainRule
from arvo.core.events.event import Event
from arvo.core.violations.violation import ExecutionViolation
from arvo.engine.system.system import System
from arvo.handlers.effect import Effects, call
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.invoke import HandlerReturn
from arvo.handlers.resumable import Resumable, Turn

# The commands that a generated handler returns; None stands for no command.
Script: TypeAlias = tuple[Command, ...] | None

# Few names and small values: laws depend on the shape of a system, not on its names.
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


def generated_effect(event_id: str) -> int:
    """The effect that generated handlers call; a test substitutes its result."""
    raise NotImplementedError(f"{event_id}: pass effects={{generated_effect: a function}}")


@st.composite
def systems(draw: st.DrawFn) -> tuple[System, Event[Any]]:
    """Draw a system of one workflow and its services, and an event for one of its handlers.

    A handler returns the commands of a drawn script: it emits, fails, violates, raises, calls an
    effect (`generated_effect`), or returns a command that its kind of handler may not return. The
    event's id decides which entry of the script it returns.

    >>> from hypothesis import given, settings
    >>> @settings(max_examples=3)
    ... @given(systems())
    ... def test_an_event_has_a_handler(drawn):
    ...     system, event = drawn
    ...     assert event.to in system.addresses
    >>> test_an_event_has_a_handler()
    """
    services = [draw(_services(number)) for number in range(draw(st.integers(1, 3)))]
    handlers = [handler for handler, _ in services]
    init, complete = draw(_classes("Init")), draw(_classes("Done"))
    contract: OrchestratorContract[Any, Any] = OrchestratorContract(
        uri="#/generated/workflow",
        name="generated.workflow",
        domain=draw(st.none() | st.just("flow")),
        versions={"1.0.0": Workflow(init=init, complete=complete)},
    )
    scripts = draw(_workflow_scripts([accepted for _, accepted in services], complete))
    workflow = Resumable(
        contract,
        {"1.0.0": partial(_run_turn, scripts)},
        services=[handler.contract["1.0.0"] for handler in handlers],
    )
    system = System([*handlers, workflow])
    init_event = contract["1.0.0"].init(
        draw(_instances(init)), source="com.test.client", id="init", domain=draw(_domain())
    )
    handler, accepted = draw(st.sampled_from(services))
    service_event = handler.contract["1.0.0"].accepts(
        draw(_instances(accepted)), source="com.test.client", id="alone", domain=draw(_domain())
    )
    return system, draw(st.sampled_from([init_event, service_event]))


def _workflow_scripts(
    requests: Sequence[type], complete: type
) -> st.SearchStrategy[Sequence[Script]]:
    emits = st.one_of([_emit_commands(request) for request in requests])
    return st.lists(
        st.one_of(
            st.none(),
            st.lists(emits, max_size=3).map(tuple),
            st.tuples(emits, st.builds(Persist, st.dictionaries(st.just("n"), st.integers()))),
            st.tuples(_instances(complete).map(Complete)),
            st.tuples(st.just(Log("info", "said")), st.just(Fail("no"))),
            st.just((Violate(ExecutionViolation("refused")),)),
        ),
        min_size=1,
        max_size=4,
    )


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
                st.lists(_emit_commands(success), max_size=2).map(tuple),
                st.just((Fail("down"),)),
                st.just((Violate(ExecutionViolation("refused")),)),
                # An event handler has no record, so the engine must refuse this.
                st.just((Persist({}),)),
            ),
            min_size=1,
            max_size=3,
        )
    )
    calls_effect, raises = draw(st.booleans()), draw(st.booleans())
    function = partial(_handle, scripts, calls_effect=calls_effect, raises=raises)
    return EventHandler(contract, {"1.0.0": function}), accepted


def _classes(name: str) -> st.SearchStrategy[type]:
    names = st.sets(st.sampled_from(sorted(_FIELDS)), min_size=1)
    return names.map(lambda chosen: _make_class(name, tuple(sorted(chosen))))


# Cached, because the payload of each class is compiled once.
@lru_cache(maxsize=512)
def _make_class(name: str, chosen: tuple[str, ...]) -> type:
    fields = {field: attrs.field(type=_FIELDS[field]) for field in chosen}
    return attrs.make_class(name, fields, frozen=True)


def _instances(cls: type) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{field.name: _VALUES[field.name] for field in attrs.fields(cls)})


def _emit_commands(cls: type) -> st.SearchStrategy[Emit]:
    return st.builds(
        Emit,
        _instances(cls),
        domain=_RULES,
        to=st.none() | st.just("com.elsewhere.entirely"),
        executionunits=st.none() | st.integers(0, 3),
    )


def _handle(
    scripts: Sequence[Script], event: Event[Any], *, calls_effect: bool, raises: bool
) -> HandlerReturn:
    if not calls_effect:
        return _choose_script(scripts, event.id, raises=raises)
    return _handle_with_effect(scripts, event, raises=raises)


def _handle_with_effect(
    scripts: Sequence[Script], event: Event[Any], *, raises: bool
) -> Effects[Script]:
    result = yield from call(generated_effect, event.id)
    return _choose_script(scripts, f"{event.id}{result}", raises=raises)


def _run_turn(scripts: Sequence[Script], turn: Turn[Any]) -> HandlerReturn:
    return _choose_script(scripts, turn.event.id, raises=False)


def _choose_script(scripts: Sequence[Script], key: str, *, raises: bool) -> Script:
    digest = blake2b(key.encode(), digest_size=4).digest()[0]
    if raises and digest % 5 == 0:
        raise ValueError("broken")
    return scripts[digest % len(scripts)]
