"""Adapters: the classes of other libraries, which describe, read and write themselves."""

from typing import Any, Final, Protocol

from arvo.core.payloads.types.classes import class_kind, class_of
from arvo.core.payloads.types.field import Field
from arvo.core.violations.issue import Issues


class Adapter(Protocol):
    """What a library's classes need in order to be payloads; the library itself validates."""

    def schema(self, cls: Any) -> dict[str, Any]:
        """Return the JSON Schema of an object, with references to its own ``$defs`` alone.

        Raises PayloadError for a class that is no object in JSON.
        """
        ...

    def fields(self, cls: Any) -> tuple[Field, ...]:
        """Return the fields that the constructor takes."""
        ...

    def read(self, cls: Any, data: Any, path: str) -> Any | Issues:
        """Make an instance of JSON data, or return Issues with paths below *path*."""
        ...

    def write(self, value: Any, path: str) -> Any | Issues:
        """Return the JSON data of an instance, which `read` accepts, or Issues."""
        ...


# By the class from which those of a library inherit.
_ADAPTERS: Final[dict[type, Adapter]] = {}
# The module to import for the classes of a library.
_MODULES: Final = {"pydantic": "arvo.pydantic"}


def register_adapter(base: type, adapter: Adapter) -> None:
    """Make payloads of the classes that inherit from *base*."""
    _ADAPTERS[base] = adapter


def adapter_of(kind: Any) -> Adapter | None:
    """Return the adapter of a class, or None if it needs or has none."""
    if _ADAPTERS and isinstance(kind, type):
        for base, adapter in _ADAPTERS.items():
            if issubclass(kind, base):
                return adapter
    return None


def is_payload_class(kind: Any) -> bool:
    """Return whether *kind* is a class that declares fields, or a generic one with its arguments.

    It may still be refused as a payload, for example because it is mutable.
    """
    return class_kind(kind) is not None or adapter_of(kind) is not None


def remedy_for(kind: Any) -> str | None:
    """Return the way to payloads of the classes of a known library, or None for other classes."""
    libraries = {
        base.__module__.partition(".")[0] for base in getattr(class_of(kind), "__mro__", ())
    }
    found = min(libraries & _MODULES.keys(), default=None)
    return None if found is None else f"import {_MODULES[found]}"
