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
from arvo.statechart.events import Done, Event, Init
from arvo.statechart.faults import ActionFault, Fault, GuardFault, LoopFault, UnhandledFault
from arvo.statechart.guards import Guard, StateValue, and_, not_, or_, state_in
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
    "Emit",
    "Event",
    "Fault",
    "Guard",
    "GuardFault",
    "Init",
    "LoopFault",
    "Problem",
    "Schedule",
    "Send",
    "Snapshot",
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
    "emit",
    "from_xstate",
    "initial",
    "not_",
    "or_",
    "raise_",
    "send",
    "state_in",
    "transition",
]
