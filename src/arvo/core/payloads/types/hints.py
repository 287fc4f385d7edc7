"""Hints: the types of a class's fields, with the arguments of generic classes put in."""

from typing import Any, Generic, TypeVar, get_args

from typing_extensions import get_type_hints

from arvo.core.payloads.types.classes import (
    ClassKind,
    PayloadError,
    class_kind,
    class_of,
    type_name,
)


def hints_of(kind: Any) -> dict[str, Any]:
    """Return the type of each annotated name of a class; raises PayloadError.

    The type variables of a generic class are replaced, in ``Box[int]`` as in a class that inherits
    from it.
    """
    cls = class_of(kind)
    try:
        # localns: a class inside a function may refer to itself, but its module does not have it.
        hints = get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
    except Exception as error:
        raise PayloadError(
            f"{type_name(kind)}: an annotation cannot be resolved ({error}): define or import "
            "what it names at the top of the module, not under TYPE_CHECKING or in a function"
        ) from error
    arguments = _arguments(kind, {})
    if not any(arguments.values()):
        return hints
    return {name: _put_in(hint, _of_owner(name, kind, arguments)) for name, hint in hints.items()}


def _arguments(kind: Any, outer: dict[Any, Any]) -> dict[type, dict[Any, Any]]:
    """Return the arguments for the type variables of *kind* and of each class it inherits from."""
    cls = class_of(kind)
    given = (_put_in(argument, outer) for argument in get_args(kind))
    own = dict(zip(getattr(cls, "__parameters__", ()), given, strict=False))
    found = {cls: own}
    for base in vars(cls).get("__orig_bases__", cls.__bases__):
        if class_of(base) is not Generic and isinstance(class_of(base), type):
            found = _arguments(base, own) | found
    return found


def _of_owner(name: str, kind: Any, arguments: dict[type, dict[Any, Any]]) -> dict[Any, Any]:
    if class_kind(kind) is ClassKind.TYPED_DICT:
        # It is no subclass of its bases, and its annotations contain theirs.
        return {
            variable: it for own in reversed(arguments.values()) for variable, it in own.items()
        }
    owners = (cls for cls in class_of(kind).__mro__ if name in vars(cls).get("__annotations__", {}))
    return arguments.get(next(owners, object), {})


def _put_in(hint: Any, arguments: dict[Any, Any]) -> Any:
    """Replace the type variables in *hint*."""
    if isinstance(hint, TypeVar):
        return arguments.get(hint, hint)
    # A generic class without arguments has variables, too: they stay unknown.
    variables = getattr(hint, "__parameters__", ()) if get_args(hint) else ()
    if not arguments or not variables:
        return hint
    return hint[tuple(arguments.get(variable, variable) for variable in variables)]
