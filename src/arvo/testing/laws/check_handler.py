"""Check handler: search the events of a contract for one on which its handler breaks a law."""

from collections.abc import Collection
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.events.event import Event
from arvo.core.violations.violation import Violation
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler
from arvo.testing.given.commands_of import EffectTable
from arvo.testing.laws.effect_stubs import EffectSubstitutes, search_effects
from arvo.testing.laws.handler_laws import LAWS, HandlerUnderTest
from arvo.testing.laws.search import BUDGET, search
from arvo.testing.laws.violation import LawViolated, LawViolation
from arvo.testing.strategies.strategies import events as events_of


def check_handler(
    handler: EventHandler[Any],
    *,
    events: SearchStrategy[Event[Any]] | None = None,
    effects: EffectSubstitutes | None = None,
    may_raise: Collection[type[Exception]] = (),
    may_violate: Collection[type[Violation]] = (),
    settings: hypothesis.settings = BUDGET,
) -> None:
    """Search for an event on which *handler* breaks a law.

    Raises `LawViolated` with the smallest event found. The laws: the handler is deterministic,
    leaves its input unchanged, is total over its contract, emits only the events of its contract,
    and its events survive a JSON round trip.

    *events*: the events to try, by default all that the contract accepts. *effects*: for a function
    that the handler passes to `call`, a function that runs instead, or a strategy for its result;
    by default any value of its return annotation. *may_raise*: exceptions that the handler may
    raise. *may_violate*: violations that are intended. *settings*: settings of Hypothesis.
    """
    __tracebackhide__ = True
    examples = events_of(handler.contract) if events is None else events
    subject = HandlerUnderTest(
        handler, System([handler], stacks=True), frozenset(may_raise), frozenset(may_violate)
    )

    def find(tables: SearchStrategy[EffectTable]) -> LawViolation | None:
        laws = [lambda example, law=law: law(subject, *example) for law in LAWS]
        return search(st.tuples(examples, tables), laws, settings)

    violation = search_effects(effects, find)
    if violation is not None:
        raise LawViolated(f"the handler of {handler.contract.uri}", violation)
