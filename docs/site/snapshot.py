"""Snapshot: the public API as text, so that a change is seen in review. `make api` writes it."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.site.public import public_names
from docs.site.signatures import signature_of


def snapshot() -> str:
    """Return a line for each public name, method and property, in order."""
    lines: list[str] = []
    for (package, name), candidate in sorted(public_names().items(), key=lambda it: it[0]):
        lines += _describe(f"{package}.{name}", candidate)
    return "\n".join(lines) + "\n"


def _describe(name: str, candidate: Any) -> Iterator[str]:
    if not inspect.isclass(candidate):
        yield _line(name, candidate) if callable(candidate) else name
        return
    bases = [base.__name__ for base in candidate.__bases__ if base.__module__ == "builtins"]
    kind = f"  # {', '.join(bases)}" if bases != ["object"] and bases else ""
    yield f"{_line(name, candidate)}{kind}"
    members = {key: value for base in candidate.__mro__ for key, value in vars(base).items()}
    for key in sorted(members):
        if not key.startswith("_") and _is_ours(candidate, key):
            yield from _member(f"{name}.{key}", inspect.getattr_static(candidate, key))


def _is_ours(kind: type, key: str) -> bool:
    owner = next(base for base in kind.__mro__ if key in vars(base))
    return owner.__module__.startswith("arvo")


def _member(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, property):
        signature = signature_of(value.fget)
        yield f"{name}: {signature[1] if signature else ''}"
    elif inspect.isfunction(getattr(value, "__func__", value)):
        yield _line(name, value)


def _line(name: str, candidate: Any) -> str:
    parameters, returns = signature_of(candidate) or ("", "")
    return f"{name}{parameters}{f' -> {returns}' if returns else ''}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(snapshot(), encoding="utf-8")
