"""Load: from `package.module:attribute` to a system, or to a runtime of one."""

import importlib
import sys
from pathlib import Path

from arvo.cli.errors import Mistake, line_of
from arvo.engine.system.system import System
from arvo.interpreters.runtime.runtime import Runtime


def load_system(name: str, backend: str) -> System:
    """Load the system of that name."""
    return load_runtime(name, backend).system


def load_runtime(name: str, backend: str) -> Runtime:
    """Load what is to be run on a backend: a `System`, or a function from the backend's URL to a
    `Runtime`, which may have listeners and limits of its own.
    """
    found = _found(name)
    if isinstance(found, System):
        return Runtime(found, backend)
    if callable(found):
        try:
            found = found(backend)
        except Exception as error:
            raise _unlike(name, f"a function that raises {_said(error)}") from error
    if isinstance(found, Runtime):
        return found
    raise _unlike(name, type(found).__name__)


def existing(backend: str) -> str:
    """Give a backend's URL back; raises `Mistake` for a file that is not there, which looking into
    it would make.
    """
    path = backend.removeprefix("sqlite:///")
    if path != backend and not Path(path).is_file():
        raise Mistake(f"there is no file {path} (nothing was made)")
    return backend


def _found(name: str) -> object:
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise Mistake(f"{name!r} names no system: write package.module:attribute")
    # A console script does not look where it is called, as `python -m` does.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:
        top = module_name.partition(".")[0]
        remedy = ""
        if isinstance(error, ModuleNotFoundError) and error.name == top:
            remedy = f": run this in the folder that holds {top} (this is {here}), or install it"
        raise Mistake(f"{name} cannot be loaded: {_said(error)}{remedy}") from error
    return found


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {line_of(error)}"


def _unlike(name: str, got: str) -> Mistake:
    expected = "a System, or a function from the backend's URL to a Runtime"
    return Mistake(f"{name}: expected {expected}, got {got}")
