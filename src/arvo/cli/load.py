"""Load: import a `System` or `Runtime` by its name, `package.module:attribute`."""

import getpass
import importlib
import sys
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

from arvo.cli.errors import UsageError, format_error
from arvo.engine.system.system import System
from arvo.interpreters.delivery.backend_url import check_urls
from arvo.interpreters.runtime.runtime import Runtime

# The variable that holds the URL of the backend; a worker receives it in this way.
BACKEND_VARIABLE: Final = "ARVO_BACKEND"
EMPTY_SYSTEM: Final = System(())

# Parameters of commands.
Url: TypeAlias = Annotated[
    str, Parameter(env_var=BACKEND_VARIABLE, help="Such as sqlite:///file.db")
]
SystemName: TypeAlias = Annotated[str, Parameter(help="package.module:attribute")]
Reason: TypeAlias = Annotated[str, Parameter(help="Why, for the audit log.")]
Every: TypeAlias = Annotated[bool, Parameter("--all", negative="")]
DryRun: TypeAlias = Annotated[
    bool, Parameter(negative="", help="Change nothing; print what would be done and refused.")
]
AsJson: TypeAlias = Annotated[bool, Parameter("--json", negative="")]


def load_system(name: str, backend: str) -> System:
    """Import the system named *name*."""
    return load_runtime(name, backend).system


def load_runtime(name: str, backend: str) -> Runtime:
    """Import *name* and return a runtime of it on *backend*.

    The name refers to a `System`, or to a function that takes the backend's URL and returns a
    `Runtime` with listeners and limits of its own. Raises `UsageError`, and `Violated` for a URL
    that cannot be read.
    """
    check_urls(backend)
    target = _import(name)
    if isinstance(target, System):
        return Runtime(target, backend)
    if callable(target):
        try:
            target = target(backend)
        except Exception as error:
            raise _wrong_target(name, f"a function that raises {_describe_error(error)}") from error
    if isinstance(target, Runtime):
        return target
    raise _wrong_target(name, type(target).__name__)


def require_existing(backend: str) -> str:
    """Return *backend* unchanged; raise `UsageError` for a SQLite file that does not exist.

    Opening it would create an empty file, and a misspelled path would look like an empty backend.
    """
    path = backend.removeprefix("sqlite:///").partition("?")[0]
    if path != backend and not Path(path).is_file():
        raise UsageError(
            f"--backend: there is no file {path}: check the path, or start `arvo run` first"
        )
    return backend


def _import(name: str) -> object:
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise UsageError(f"{name!r} names no system: expected package.module:attribute")
    # Unlike `python -m`, a console script does not search the current folder.
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        target: object = importlib.import_module(module_name)
        for part in attribute.split("."):
            target = getattr(target, part)
    except Exception as error:
        remedy = _remedy(error, module_name, folder)
        raise UsageError(f"{name} cannot be loaded: {_describe_error(error)}{remedy}") from error
    return target


def _remedy(error: Exception, module_name: str, folder: str) -> str:
    """Return what to do about an error of `_import`, or an empty text."""
    top = module_name.partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and error.name == top:
        return f": run this in the folder that holds {top} (this is {folder}), or install it"
    module = sys.modules.get(module_name)
    if module is not None and isinstance(error, AttributeError) and error.obj is module:
        systems = [name for name, value in vars(module).items() if isinstance(value, System)]
        return f": it defines {', '.join(systems) or 'no system'}"
    return ""


def _describe_error(error: Exception) -> str:
    return f"{type(error).__name__}: {format_error(error)}"


def _wrong_target(name: str, got: str) -> UsageError:
    expected = "a System, or a function from the backend's URL to a Runtime"
    return UsageError(f"{name}: expected {expected}, got {got}")


def user_name() -> str | None:
    """Return the name of the user of this process, for the audit log; None if it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None  # a container may run a user without a name
