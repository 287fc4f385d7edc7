"""Statecharts as pure functions, with the semantics of XState v5."""

from arvo.statechart.actions import (
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
from arvo.statechart.chart import Chart
from arvo.statechart.commands import Act, Cancel, Command, Emit, Schedule, Send
from arvo.statechart.draw import Drawing, draw
from arvo.statechart.dump import Stale, dump, dump_timer, load, load_timer
from arvo.statechart.events import Done, Event, Init
from arvo.statechart.export import structural_hash, to_xstate
from arvo.statechart.faults import ActionFault, Fault, GuardFault, LoopFault, UnhandledFault
from arvo.statechart.guards import Guard, StateValue, and_, not_, or_, state_in
from arvo.statechart.lint import Finding, lint
from arvo.statechart.paths import Path, paths
from arvo.statechart.problems import ChartError, Problem
from arvo.statechart.snapshot import Snapshot
from arvo.statechart.state import State, Transition
from arvo.statechart.step import can, initial, transition
from arvo.statechart.xstate import from_xstate

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
    "Finding",
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
