"""Writers: from Python values to plain JSON data, one hook for cattrs a kind of type.

They raise nothing: a value that its type does not allow is left in its place as Unfit.
"""

from collections.abc import Callable, Hashable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from typing import Any, Literal, get_args

import attrs
import orjson
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn

from arvo.core.payloads.fields import bare, members, title, wire_value
from arvo.core.payloads.json_data import Unfit
from arvo.core.payloads.scalars import Leaf
from arvo.core.payloads.type_schema import ARRAYS, OBJECTS, flat, origin

Write = Callable[[Any], Any]


def write_float(value: Any) -> Any:
    """Let a float through, and an int only if reading gives the same number."""
    if type(value) is not float and type(value) is int and value != float(value):
        return Unfit("a number that a float holds exactly", value)
    return value


def leaf_writer(kind: type, leaf: Leaf) -> Write:
    """Write the text of a *leaf*."""
    fits = _test(kind)

    def write(value: Any) -> Any:
        text = leaf.write(value) if fits(value) else None
        return Unfit(leaf.words, value) if text is None else text

    return write


def choice_writer(kind: Any) -> Write:
    """Write the value of a member of the Literal or Enum *kind*."""
    table = {(type(each), each): wire_value(each) for each in members(kind)}
    fits = _test(kind)
    return lambda value: table[type(value), value] if fits(value) else Unfit(title(kind), value)


def union_writer(kind: Any, made: Converter) -> Write:
    """Choose by the type of the value."""
    arms = [(_test(each), made.get_unstructure_hook(each)) for each in flat(kind)]

    def write(value: Any) -> Any:
        for fits, hook in arms:
            if fits(value):
                return hook(value)
        return Unfit(title(kind), value)

    return write


def _test(kind: Any) -> Callable[[Any], bool]:
    """Tell a value of *kind* from others, as far as a writer must."""
    kind, _ = bare(kind)
    above = origin(kind)
    if above is Literal:
        values = {(type(each), each) for each in get_args(kind)}
        return lambda value: isinstance(value, Hashable) and (type(value), value) in values
    if above in (set, frozenset):
        return lambda value: isinstance(value, AbstractSet)
    if above in ARRAYS:
        return lambda value: isinstance(value, list | tuple)
    if above in OBJECTS:
        return lambda value: isinstance(value, Mapping)
    if isinstance(kind, type) and attrs.has(kind):
        # Exactly this class: a subclass has more, and that would be lost on the way.
        return lambda value: type(value) is kind
    if kind is float:
        return lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool)
    if kind is date:
        return lambda value: isinstance(value, date) and not isinstance(value, datetime)
    return lambda value: isinstance(value, kind)


def array_writer(kind: Any, made: Converter) -> Write:
    """Write a list; of a set in one order."""
    items, fits = get_args(kind) or (Any,), _test(kind)
    hooks = [made.get_unstructure_hook(each) for each in items if each is not ...]
    fixed = origin(kind) is tuple and bool(get_args(kind)) and items[-1] is not ...
    sorts = origin(kind) in (set, frozenset)

    def write(value: Any) -> Any:
        if not fits(value):
            return Unfit(title(kind), value)
        if fixed:
            even = len(value) == len(hooks)
            return (
                [hook(each) for hook, each in zip(hooks, value, strict=True)]
                if even
                else Unfit(title(kind), value)
            )
        written = [hooks[0](each) for each in value]
        return _sorted(written) if sorts else written

    return write


def _sorted(items: list[Any]) -> list[Any]:
    # A set has no order and an event must have one: the same step twice makes the same bytes.
    try:
        return sorted(items, key=lambda item: orjson.dumps(item, option=orjson.OPT_SORT_KEYS))
    except TypeError:
        return items  # something in it is Unfit, and will be told


def map_writer(kind: Any, made: Converter) -> Write:
    """Write a dict; its keys become texts."""
    key, inner = (made.get_unstructure_hook(each) for each in get_args(kind) or (str, Any))

    def write(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return Unfit(title(kind), value)
        return {key(k): inner(v) for k, v in value.items()}

    return write


def class_writer(cls: type, made: Converter) -> Write:
    """Write exactly a *cls*: a subclass has more, which would be lost."""
    compiled: Write | None = None

    def write(value: Any) -> Any:
        nonlocal compiled
        if type(value) is not cls:
            return Unfit(f"a {cls.__name__}", value)
        # Not before the first value: a class may contain itself, and must be known by then.
        if compiled is None:
            compiled = make_dict_unstructure_fn(cls, made, _cattrs_use_alias=True)
        return compiled(value)

    return write
