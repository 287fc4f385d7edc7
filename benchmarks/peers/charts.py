"""Charts: the charts of `benchmarks.pure` in other libraries."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

Send: TypeAlias = Callable[[], object]


def _transitions_flat() -> Send:
    from transitions import Machine

    machine = Machine(states=["off", "on"], initial="off", auto_transitions=False)
    machine.add_transition("go", "off", "on")
    machine.add_transition("go", "on", "off")
    return machine.go


def _branch(name: str) -> dict[str, Any]:
    inner = {"name": "y", "initial": "z", "children": ["z"]}
    return {"name": name, "initial": "y", "children": [inner]}


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


# By the module of each library: its name, and functions that make the charts.
LIBRARIES: Final[Mapping[str, tuple[str, Mapping[str, Callable[[], Send]]]]] = {
    "transitions": ("transitions", {"flat": _transitions_flat, "parallel": _transitions_parallel}),
    "statemachine": (
        "python-statemachine",
        {"flat": _statemachine_flat, "parallel": _statemachine_parallel},
    ),
    "sismic": (
        "sismic",
        {
            "flat": lambda: _sismic(
                {
                    "name": "m",
                    "initial": "a",
                    "states": [_sismic_leaf("a", "b"), _sismic_leaf("b", "a")],
                }
            ),
            "parallel": lambda: _sismic(
                {"name": "root", "parallel states": [_sismic_pair(n) for n in range(3)]}
            ),
        },
    ),
}
