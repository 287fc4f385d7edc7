"""Peers: the charts of the statechart benchmark in other libraries."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

RING = 200

Send = Callable[[], object]
Makers = dict[str, Callable[[], Send]]


def installed() -> dict[str, Makers]:
    """Return the installed libraries, each with functions that make the charts."""
    known = {
        "transitions": ("transitions", TRANSITIONS),
        "python-statemachine": ("statemachine", STATEMACHINE),
        "sismic": ("sismic", SISMIC),
    }
    return {name: makers for name, (module, makers) in known.items() if find_spec(module)}


def _transitions_flat() -> Send:
    from transitions import Machine

    machine = Machine(states=["off", "on"], initial="off", auto_transitions=False)
    machine.add_transition("go", "off", "on")
    machine.add_transition("go", "on", "off")
    return machine.go


def _transitions_ring() -> Send:
    from transitions import Machine

    states = [f"s{n}" for n in range(RING)]
    machine = Machine(states=states, initial="s0", auto_transitions=False)
    for n in range(RING):
        machine.add_transition("go", f"s{n}", f"s{(n + 1) % RING}")
    return machine.go


def _branch(name: str) -> dict[str, Any]:
    inner = {"name": "y", "initial": "z", "children": ["z"]}
    return {"name": name, "initial": "y", "children": [inner]}


def _transitions_nested() -> Send:
    from transitions.extensions import HierarchicalMachine

    states = [_branch("a"), _branch("b")]
    machine = HierarchicalMachine(states=states, initial="a", auto_transitions=False)
    machine.add_transition("go", "a", "b")
    machine.add_transition("go", "b", "a")
    return machine.go


def _transitions_parallel() -> Send:
    from transitions.extensions import HierarchicalMachine

    regions = [
        {"name": f"r{n}", "initial": "a", "children": [_branch("a"), _branch("b")]}
        for n in range(3)
    ]
    machine = HierarchicalMachine(
        states=[{"name": "p", "parallel": regions}], initial="p", auto_transitions=False
    )
    for n in range(3):
        machine.add_transition("go", f"p_r{n}_a", f"p_r{n}_b")
        machine.add_transition("go", f"p_r{n}_b", f"p_r{n}_a")
    return machine.go


def _statemachine(machine: Any) -> Send:
    return lambda: machine.send("go")


def _statemachine_flat() -> Send:
    from statemachine import State, StateChart

    class Flat(StateChart[Any]):
        off = State(initial=True)
        on = State()
        go = off.to(on) | on.to(off)

    return _statemachine(Flat())


def _statemachine_nested() -> Send:
    from statemachine import State, StateChart

    class Nested(StateChart[Any]):
        class a(State.Compound, initial=True):  # noqa: N801
            class ay(State.Compound, initial=True):  # noqa: N801
                az = State(initial=True)

        class b(State.Compound):  # noqa: N801
            class by(State.Compound, initial=True):  # noqa: N801
                bz = State(initial=True)

        go = a.to(b) | b.to(a)

    return _statemachine(Nested())


def _statemachine_parallel() -> Send:
    from statemachine import State, StateChart

    def region(number: int) -> type[State.Compound]:
        def branch(name: str, *, initial: bool) -> type[State.Compound]:
            leaf = {f"{name}z": State(initial=True)}
            inner = type(State.Compound)(f"{name}y", (State.Compound,), leaf, initial=True)
            outer = {f"{name}y": inner}
            return type(State.Compound)(name, (State.Compound,), outer, initial=initial)

        a, b = branch(f"a{number}", initial=True), branch(f"b{number}", initial=False)
        inside = {f"a{number}": a, f"b{number}": b, "go": a.to(b) | b.to(a)}
        return type(State.Compound)(f"r{number}", (State.Compound,), inside)

    class Parallel(StateChart[Any]):
        class p(State.Parallel, initial=True):  # noqa: N801
            r0, r1, r2 = region(0), region(1), region(2)

    return _statemachine(Parallel())


def _statemachine_ring() -> Send:
    from statemachine import State, StateChart

    states = {f"s{n}": State(initial=n == 0) for n in range(RING)}
    go: Any = None
    for n in range(RING):
        move = states[f"s{n}"].to(states[f"s{(n + 1) % RING}"])
        go = move if go is None else go | move
    ring = type(StateChart)("Ring", (StateChart,), {**states, "go": go})
    return _statemachine(ring())


def _sismic(root: dict[str, Any]) -> Send:
    from sismic.interpreter import Interpreter
    from sismic.io.datadict import import_from_dict

    interpreter = Interpreter(import_from_dict({"statechart": {"name": "m", "root state": root}}))
    interpreter.execute()

    def send() -> None:
        interpreter.queue("go")
        interpreter.execute()

    return send


def _sismic_leaf(name: str, target: str) -> dict[str, Any]:
    return {"name": name, "transitions": [{"event": "go", "target": target}]}


def _sismic_branch(name: str, target: str) -> dict[str, Any]:
    inner = {"name": f"{name}y", "initial": f"{name}z", "states": [{"name": f"{name}z"}]}
    return _sismic_leaf(name, target) | {"initial": f"{name}y", "states": [inner]}


def _sismic_pair(number: int | str = "") -> dict[str, Any]:
    a, b = f"a{number}", f"b{number}"
    return {
        "name": f"r{number}",
        "initial": a,
        "states": [_sismic_branch(a, b), _sismic_branch(b, a)],
    }


def _sismic_ring() -> Send:
    states = [_sismic_leaf(f"s{n}", f"s{(n + 1) % RING}") for n in range(RING)]
    return _sismic({"name": "root", "initial": "s0", "states": states})


TRANSITIONS: Makers = {
    "flat": _transitions_flat,
    "nested": _transitions_nested,
    "parallel": _transitions_parallel,
    "ring": _transitions_ring,
}
STATEMACHINE: Makers = {
    "flat": _statemachine_flat,
    "nested": _statemachine_nested,
    "parallel": _statemachine_parallel,
    "ring": _statemachine_ring,
}
SISMIC: Makers = {
    "flat": lambda: _sismic(
        {"name": "m", "initial": "a", "states": [_sismic_leaf("a", "b"), _sismic_leaf("b", "a")]}
    ),
    "nested": lambda: _sismic(_sismic_pair()),
    "parallel": lambda: _sismic(
        {"name": "root", "parallel states": [_sismic_pair(n) for n in range(3)]}
    ),
    "ring": _sismic_ring,
}
