"""Corpora: machines recorded from XState, turned into charts of ours.

``ARVO_STATECHARTS`` names the folder; its default is the shared folder beside the project, or else
the small sample in ``tests/data``. Files that a folder lacks are skipped. Its README explains the
JSON.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arvo.statechart import (
    Act,
    Cancel,
    Chart,
    Command,
    Emit,
    Init,
    Schedule,
    Send,
    from_xstate,
)
from tests.statechart.bindings import action_names, bind
from tests.statechart.implementations import ACTIONS, GUARDS
from tests.statechart.placeholders import fields, fill

PROJECT = Path(__file__).parents[2]
SHARED = PROJECT.parent / "shared" / "statecharts"
SAMPLE = PROJECT / "tests" / "data" / "statecharts"


def folder() -> Path:
    """Return the folder of the corpora."""
    configured = os.environ.get("ARVO_STATECHARTS")
    if configured:
        return Path(configured)
    return SHARED if SHARED.is_dir() else SAMPLE


def differential() -> list[tuple[int, dict[str, Any]]]:
    """Read the recorded machines, each with its line number."""
    path = folder() / "differential.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(number, json.loads(line)) for number, line in enumerate(lines, 1) if line.strip()]


def scenarios(kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Read the scenarios of one *kind*, each with the name of its file."""
    files = sorted((folder() / kind).glob("*.json"))
    return [(path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in files]


def make_chart(machine: Mapping[str, Any], case: Mapping[str, Any], *, memory: int) -> Chart[Any]:
    """Turn a recorded *machine* into a chart with a cache of *memory* entries."""
    config = dict(bind(machine))
    context = machine.get("context", {})
    config["context"] = lambda value: fill(context, {}, Init(value))
    names = set(action_names(config))
    delays = {name: bind(delay) for name, delay in case.get("delays", {}).items()}
    return from_xstate(
        config,
        actions={name: action for name, action in ACTIONS.items() if name in names},
        guards=GUARDS,
        delays=delays,
        commands=names - ACTIONS.keys(),
        memory=memory,
    )


def encode_command(command: Command) -> Any:
    """Return *command* in the form of the corpora."""
    match command:
        case Act(type=name, params=None):
            return name
        case Act(type=name, params=params):
            return [name, params]
        case Emit(event=event):
            return ["@emit", event]
        case Schedule(event=event, delay_ms=delay, id=timer):
            return ["@raise", fields(event), delay, timer]
        case Send(event=event, delay_ms=delay, id=timer):
            return ["@send", fields(event), delay, timer]
        case Cancel(id=timer):
            return ["@cancel", timer]
