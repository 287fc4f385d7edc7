"""Generators: closes them, and finds those that are made and never driven."""

import dis
import sys
import warnings
from collections.abc import Coroutine, Generator, Iterator, Mapping
from inspect import GEN_CREATED, getgeneratorstate, isgeneratorfunction, unwrap
from itertools import islice, pairwise
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, final

from arvo.core.command import Fail
from arvo.interrupts import is_interrupt

# Attempts to close a generator whose `finally` blocks yield.
CLOSE_ATTEMPTS_MAX: Final = 1_000
# Frames that may lie between a generator that is closed and `close_generator`: those of composed
# functions, and of the `finally` blocks that run.
FRAMES_MAX: Final = 20


def close_generator(generator: Generator[Any, Any, Any] | Coroutine[Any, Any, Any]) -> None:
    """Close a generator that is not needed any more.

    This runs its `finally` blocks too early, or late; their exceptions, and what they ask for, are
    ignored.
    """
    frame = getattr(generator, "gi_frame", None)
    if frame is None:
        _close(generator)
        return
    # From Python 3.13 on, the variables of a closed generator may live as long as it does, and so
    # outlive this call, by which `Undriven` knows that their end is no mistake.
    if getgeneratorstate(generator) == GEN_CREATED:  # type: ignore[arg-type]  # it has a frame
        for value in frame.f_locals.values():
            if isinstance(value, Undriven):
                value.start()
    _close(generator)
    frame.clear()


def _close(generator: Generator[Any, Any, Any] | Coroutine[Any, Any, Any]) -> None:
    for _ in range(CLOSE_ATTEMPTS_MAX):
        try:
            generator.close()
            return
        except RuntimeError:
            continue  # a `finally` yielded; the generator is at its next `yield`
        except BaseException as error:
            if is_interrupt(error):
                raise
            return


@final
class Undriven:
    """A mark of a generator that has not started: an argument of it, which lives as long.

    A generator without `yield from` does nothing, and Python drops it in silence. This warns, as
    Python does for a coroutine that was never awaited, with the line that called the function
    *name*: the caller of the one that makes the mark.
    """

    __slots__ = ("_code", "_globals", "_instruction", "_name")

    def __init__(self, name: str) -> None:
        caller = sys._getframe(2)  # noqa: SLF001 - `inspect.stack` reads files
        # The line is computed when it is needed.
        self._code = caller.f_code
        self._instruction = caller.f_lasti
        self._globals = caller.f_globals
        self._name = name

    def start(self) -> None:
        """Note that the generator has started."""
        self._name = ""

    def __del__(self) -> None:
        # A generator that was made early, to be driven later, is dropped with the one that holds
        # it: a step closes a handler at its next effect, and begins it anew.
        if self._name and not sys.is_finalizing() and not _is_closing():
            positions = islice(self._code.co_positions(), self._instruction // 2, None)
            line = next(positions)[0]
            warnings.warn_explicit(
                f"{self._name}(...) does nothing by itself: write `yield from {self._name}(...)`",
                RuntimeWarning,
                self._code.co_filename,
                line or self._code.co_firstlineno,
                module=self._globals.get("__name__"),
                # As `warnings.warn` does: one warning for each line.
                registry=self._globals.setdefault("__warningregistry__", {}),
            )


def _is_closing() -> bool:
    frame, code = sys._getframe(1).f_back, close_generator.__code__  # noqa: SLF001
    for _ in range(FRAMES_MAX):
        if frame is None:
            return False
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False


def mistaken_calls(function: object) -> Iterator[tuple[str, str]]:
    """Find calls in a handler's function that do not do what they are written for.

    A call that makes a generator and is a statement of its own, as `sleep(5)` is, or the value of a
    plain `yield`, lacks its `yield from`; a command that is raised is no exception. Yields what is
    expected, with the file and line, and what is there. Only what is certain: the call of a global
    function that is a generator function, or one of `call`, `ask` and the like.
    """
    # That of `workflow` calls the decorated one; a partial function has no code of its own.
    plain = unwrap(function) if isinstance(function, FunctionType) else function
    plain = getattr(plain, "__func__", plain)
    if isinstance(plain, FunctionType):
        for following, called, place in _find_calls(plain.__code__, plain.__globals__, _MISTAKES):
            if following == _RAISE:
                expected = f"`return fail(...)` of a flow, or `return {called}(...)`, at {place}"
                yield expected, f"`raise {called}(...)`, which is no exception"
            else:
                yield f"`yield from {called}(...)` at {place}", "a call alone, which does nothing"


def code_place(code: CodeType, line: int | None = None) -> str:
    """Return the name of the file of a piece of code, and its line or another one."""
    name = code.co_filename.replace("\\", "/").rpartition("/")[2]
    return f"{name}:{line or code.co_firstlineno}"


def _find_calls(
    code: CodeType, names: Mapping[str, object], mistakes: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    """Yield the instruction after each mistaken call, the name that is called, and its place."""
    # Most functions are done here: to read instructions takes a thousand times longer.
    named = [names.get(name) for name in code.co_names]
    if any(isinstance(it, ModuleType) or _makes_generator(it) or it is Fail for it in named):
        yield from _read_calls(code, names, mistakes)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            # A generator inside may yield branches for `gather`.
            yield from _find_calls(constant, names, mistakes[:2])


def _read_calls(
    code: CodeType, names: Mapping[str, object], mistakes: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    steps = [step for step in dis.get_instructions(code) if step.opname not in _WITHOUT_EFFECT]
    for index, (step, following) in enumerate(pairwise(steps)):
        if step.opname not in _CALLS or following.opname not in mistakes:
            continue
        # The name that is called begins where the call begins.
        loaded = [it for it in steps[:index] if _start(it) == _start(step)]
        called, found = _find(loaded, names)
        is_mistake = found is Fail if following.opname == _RAISE else _makes_generator(found)
        if is_mistake and step.positions and step.positions.lineno:
            yield following.opname, called, code_place(code, step.positions.lineno)


def _start(step: dis.Instruction) -> tuple[int | None, int | None] | None:
    return step.positions and (step.positions.lineno, step.positions.col_offset)


def _find(loaded: list[dis.Instruction], names: Mapping[str, object]) -> tuple[str, object]:
    """Return the name and the value that instructions load: a global one, or one of a module."""
    called, found = "", None
    for step in loaded:
        match step.opname:
            case "LOAD_GLOBAL":
                called, found = str(step.argval), names.get(step.argval)
            case "LOAD_ATTR" | "LOAD_METHOD":
                found = vars(found).get(step.argval) if isinstance(found, ModuleType) else None
                called = str(step.argval)
            case _:
                pass
    return called, found


def _makes_generator(function: object) -> bool:
    if not isinstance(function, FunctionType):
        return False
    return isgeneratorfunction(function) or Undriven.__name__ in function.__code__.co_names


_CALLS: Final = frozenset({"CALL", "CALL_KW", "CALL_FUNCTION_EX"})
_WITHOUT_EFFECT: Final = frozenset({"CACHE", "PRECALL", "NOP", "EXTENDED_ARG"})
_RAISE: Final = "RAISE_VARARGS"
_MISTAKES: Final = (_RAISE, "POP_TOP", "YIELD_VALUE")
