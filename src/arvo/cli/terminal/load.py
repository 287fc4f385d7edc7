"""Load: import a `System` or `Runtime` by its name, `package.module:attribute`."""

import getpass
import importlib
import os
import sys
from inspect import isfunction
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

from arvo.cli.terminal.errors import UsageError, format_error
from arvo.engine.system.system import System
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.delivery.backend_url import check_urls
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.runtime.backends import backend_from_url
from arvo.interpreters.runtime.runtime import Runtime

# The variable that holds the URL of the backend; a worker receives it in this way.
BACKEND_VARIABLE: Final = "ARVO_BACKEND"
# The variable that names the codec of the backend, as `package.module:attribute`.
CODEC_VARIABLE: Final = "ARVO_CODEC"
_TARGET: Final = "a System, or a function from the backend's URL to a Runtime"
EMPTY_SYSTEM: Final = System(())

# Parameters of commands.
Url: TypeAlias = Annotated[
    str, Parameter(env_var=BACKEND_VARIABLE, help="Such as sqlite:///file.db")
]
SystemName: TypeAlias = Annotated[str, Parameter(help="package.module:attribute")]


def _check_file_name(_: object, name: str) -> None:
    if name.startswith("-") and name != "-":
        raise ValueError(f"Unknown option: {name}")


# A lone hyphen is the standard input, and no option.
FileName: TypeAlias = Annotated[
    str, Parameter(allow_leading_hyphen=True, validator=_check_file_name)
]
Reason: TypeAlias = Annotated[str, Parameter(help="Why, for the audit log.")]
Every: TypeAlias = Annotated[bool, Parameter("--all", negative="")]
DryRun: TypeAlias = Annotated[
    bool, Parameter(negative="", help="Change nothing; print what would be done and refused.")
]


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
        return Runtime(target, backend, codec=load_codec())
    if callable(target):
        try:
            target = target(backend)
        except Exception as error:
            got = f"a function that raises {_describe_error(error)}"
            raise UsageError(f"{name}: expected {_TARGET}, got {got}") from error
    if isinstance(target, Runtime):
        return target
    module_name, _, _ = name.partition(":")
    got = f"{type(target).__name__}: {_list_systems(module_name)}"
    raise UsageError(f"{name}: expected {_TARGET}, got {got}")


def load_codec() -> Codec | None:
    """Import the codec that the environment names, None if it names none; raises `UsageError`."""
    name = os.environ.get(CODEC_VARIABLE)
    if not name:
        return None
    codec = _import(name)
    if not isinstance(codec, Codec):
        expected = "a codec, such as arvo.codecs.encrypted(keys)"
        raise UsageError(
            f"{CODEC_VARIABLE}={name}: expected {expected}, got {type(codec).__name__}"
        )
    return codec


def open_backend(url: str) -> Backend:
    """Return the backend of a URL, with the codec that the environment names."""
    return backend_from_url(url, load_codec())


def require_existing(backend: str) -> Backend:
    """Return the backend of a URL; raise `UsageError` for a SQLite file that does not exist.

    Opening it would create an empty file, and a misspelled path would look like an empty backend.
    """
    scheme, _, rest = backend.partition(":///")
    path = rest.partition("?")[0]
    if scheme == "sqlite" and not Path(path).is_file():
        raise UsageError(
            f"--backend: there is no file {path}: check the path, or start `arvo run` first"
        )
    return open_backend(backend)


def _import(name: str) -> object:
    module_name, _, attribute = name.partition(":")
    # Unlike `python -m`, a console script does not search the current folder.
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if not (module_name and attribute):
        hint = _hint(module_name)
        raise UsageError(f"{name!r} names no system: expected package.module:attribute{hint}")
    try:
        target: object = importlib.import_module(module_name)
        for part in attribute.split("."):
            target = getattr(target, part)
    except Exception as error:
        remedy = _remedy(error, module_name, folder)
        raise UsageError(f"{name} cannot be loaded: {_describe_error(error)}{remedy}") from error
    return target


def _hint(module_name: str) -> str:
    """Return what a module defines, or an empty text if it cannot be imported."""
    try:
        importlib.import_module(module_name)
    except Exception:  # noqa: BLE001  # the name is wrong in any case
        return ""
    return f": {_list_systems(module_name)}"


def _remedy(error: Exception, module_name: str, folder: str) -> str:
    """Return what to do about an error of `_import`, or an empty text."""
    top = module_name.partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and error.name == top:
        return f": run this in the folder that holds {top} (this is {folder}), or install it"
    if isinstance(error, AttributeError) and module_name in sys.modules:
        return f": {_list_systems(module_name)}"
    return ""


def _list_systems(module_name: str) -> str:
    """Return the names that a module gives to systems, runtimes and functions that make one."""
    named = vars(sys.modules[module_name]).items()
    systems = [name for name, value in named if _is_target(value)]
    return f"{module_name} defines {', '.join(systems) or 'no system'}"


def _is_target(value: object) -> bool:
    if isinstance(value, System | Runtime):
        return True
    annotations = getattr(value, "__annotations__", {}) if isfunction(value) else {}
    return annotations.get("return") in (Runtime, Runtime.__name__)


def _describe_error(error: Exception) -> str:
    return f"{type(error).__name__}: {format_error(error)}"


def user_name() -> str | None:
    """Return the name of the user of this process, for the audit log; None if it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None  # a container may run a user without a name
