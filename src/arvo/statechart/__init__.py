"""Statechart: statecharts as pure functions, with the semantics of XState v5."""

from arvo.statechart.compiled.chart import Chart
from arvo.statechart.definition.actions import (
    Action,
    Assign,
    Branch,
    Choose,
    act,
    assign,
    cancel,
    choose,
    emit,
    raise_,
    send,
)
from arvo.statechart.definition.commands import Act, Cancel, Command, Emit, Schedule, Send
from arvo.statechart.definition.events import Done, Event, Init
from arvo.statechart.definition.faults import (
    ActionFault,
    Fault,
    GuardFault,
    LoopFault,
    UnhandledFault,
)
from arvo.statechart.definition.guards import Guard, StateValue, and_, not_, or_, state_in
from arvo.statechart.definition.problems import ChartError, Problem
from arvo.statechart.definition.state import State, Transition
from arvo.statechart.execution.snapshot import Snapshot
from arvo.statechart.execution.step import can, initial, transition
from arvo.statechart.views.draw import Drawing, draw
from arvo.statechart.views.lint import lint
from arvo.statechart.views.paths import Path, paths
from arvo.statechart.xstate.from_xstate import from_xstate
from arvo.statechart.xstate.persistence import Stale, dump, dump_timer, load, load_timer
from arvo.statechart.xstate.to_xstate import structural_hash, to_xstate

__all__ = [
    "Act",
    "Action",
    "ActionFault",
    "Assign",
    "Branch",
    "Cancel",
    "Chart",
    "ChartError",
    "Choose",
    "Command",
    "Done",
    "Drawing",
    "Emit",
    "Event",
    "Fault",
    "Guard",
    "GuardFault",
    "Init",
    "LoopFault",
    "Path",
    "Problem",
    "Schedule",
    "Send",
    "Snapshot",
    "Stale",
    "State",
    "StateValue",
    "Transition",
    "UnhandledFault",
    "act",
    "and_",
    "assign",
    "can",
    "cancel",
    "choose",
    "draw",
    "dump",
    "dump_timer",
    "emit",
    "from_xstate",
    "initial",
    "lint",
    "load",
    "load_timer",
    "not_",
    "or_",
    "paths",
    "raise_",
    "send",
    "state_in",
    "structural_hash",
    "to_xstate",
    "transition",
]
