"""Scenario: the environment of one run of a workflow, as data."""

from collections.abc import Mapping
from typing import Any, final

from attrs import frozen

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.handlers.effect import EffectTable
from arvo.testing.strategies.replies import Behaviour


@final
@frozen
class Scenario:
    """The environment of one run, as data that can be shrunk and replayed.

    *event* starts the workflow. *behaviours* maps dataschemas to the services. *effects* is the
    effect table. *signals* are contracts and payloads of signals that may be sent to the workflow.
    *moves* choose the next event: each is a position among the events that may come next. After the
    last move the oldest event comes first and timers come last.
    """

    event: Event[Any]
    behaviours: Mapping[str, Behaviour]
    effects: EffectTable
    signals: tuple[tuple[VersionedContract[Any], Any], ...] = ()
    moves: tuple[int, ...] = ()
