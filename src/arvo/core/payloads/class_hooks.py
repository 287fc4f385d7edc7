"""Class hooks: cattrs hooks between JSON objects and the instances of payload classes."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from cattrs import AttributeValidationNote, ClassValidationError, Converter
from cattrs.fns import identity

from arvo.core.payloads.frozen_json import FrozenRecord
from arvo.core.payloads.hooks import Read, Write, instance_types
from arvo.core.payloads.json_data import InvalidValue
from arvo.core.payloads.types.adapters import adapter_of
from arvo.core.payloads.types.classes import (
    ClassKind,
    class_kind,
    class_of,
    return_code,
    return_names,
    type_name,
)
from arvo.core.payloads.types.fields import alias_keys, fields_of, strip_annotations
from arvo.core.violations.issue import Issues

_Convert: TypeAlias = Callable[[Any], Any]


class RefusedError(ValueError):
    """Data that a class of another library refuses; *issues* have paths below its own."""

    def __init__(self, issues: Issues) -> None:
        super().__init__(str(issues))
        self.issues: Final = issues


def class_structure_hook(kind: Any, converter: Converter) -> Read:
    """Return a hook that makes an instance of *kind* of a JSON object that its schema allows."""
    adapter = adapter_of(kind)
    if adapter is not None:

        def read_foreign(data: Any, _: Any) -> Any:
            made = adapter.read(kind, data, "")
            if isinstance(made, Issues):
                raise RefusedError(made)
            return made

        return read_foreign
    is_record = class_kind(kind) is ClassKind.TYPED_DICT
    make = FrozenRecord if is_record else class_of(kind)
    explains = converter.detailed_validation
    made: _Convert | None = None

    def read(data: Any, _: Any) -> Any:
        nonlocal made
        # At the first value, not earlier: a class that contains itself needs its own hook first.
        if made is None:
            hooks = [
                (field.argument, field.wire, converter.get_structure_hook(inner), inner)
                for field in fields_of(kind)
                for inner in (strip_annotations(field.type)[0],)
            ]
            made = (
                partial(_read_explained, kind, make, hooks)
                if explains
                else _read_function(make, hooks, is_record=is_record)
            )
        return made(data)

    return read


def _read_function(
    make: Callable[..., Any], hooks: list[tuple[str, str, Read, Any]], *, is_record: bool
) -> _Convert:
    """Generate the function that makes an instance of JSON data: a loop takes longer."""

    def read_some(data: Mapping[str, Any]) -> Any:
        return make(
            **{
                argument: hook(data[wire], inner)
                for argument, wire, hook, inner in hooks
                if wire in data
            }
        )

    names = {**return_names(make), "read_some": read_some}
    arguments = []
    for position, (argument, wire, hook, inner) in enumerate(hooks):
        is_direct = inner in _DIRECT
        names |= {f"read_{position}": inner if is_direct else hook, f"type_{position}": inner}
        value = f"read_{position}(data[{wire!r}]{'' if is_direct else f', type_{position}'})"
        arguments.append(f"{argument!r}: {value}" if is_record else f"{argument}={value}")
    code = f"{{{', '.join(arguments)}}}" if is_record else ", ".join(arguments)
    has_all = " and ".join(f"{wire!r} in data" for _, wire, _, _ in hooks) or "True"
    return _function(
        f"    if not ({has_all}): return read_some(data)\n    {return_code(make, code)}", names
    )


# The types that cattrs calls with the value.
_DIRECT: Final = (str, bool, float)


def _function(body: str, names: dict[str, Any]) -> _Convert:
    exec(f"def convert(data):\n{body}", names)  # noqa: S102  # as attrs does; names of fields only
    made: _Convert = names["convert"]
    return made


def _read_explained(
    kind: Any, make: Callable[..., Any], hooks: list[tuple[str, str, Read, Any]], data: Any
) -> Any:
    """Make an instance, or raise all errors of its fields with their keys, as cattrs does."""
    values, errors = {}, []
    for argument, wire, hook, inner in hooks:
        if wire in data:
            try:
                values[argument] = hook(data[wire], inner)
            except Exception as error:  # noqa: BLE001  # converters of users raise anything
                error.add_note(AttributeValidationNote(wire, wire, inner))
                errors.append(error)
    if not errors:
        try:
            return make(**values)
        except Exception as error:  # noqa: BLE001  # and so do validators
            errors.append(error)
    raise ClassValidationError(f"While structuring {type_name(kind)}", errors, kind)


def class_unstructure_hook(kind: Any, converter: Converter) -> Write:
    """Return a hook for instances of exactly *kind*: fields of a subclass would be lost."""
    types, adapter = instance_types(kind), adapter_of(kind)
    is_record = class_kind(kind) is ClassKind.TYPED_DICT
    # Data with these is JSON and no instance: the names of the class may all be optional.
    keys = alias_keys(kind) if is_record else frozenset()
    made: _Convert | None = None

    def write(value: Any) -> Any:
        nonlocal made
        if type(value) not in types:
            return InvalidValue(f"a {type_name(kind)}", value)
        if adapter is not None:
            written = adapter.write(value, "")
            return InvalidValue(_first(written), value) if isinstance(written, Issues) else written
        if made is None:
            hooks = list(_write_hooks(kind, converter))
            made = partial(_write_record, hooks) if is_record else _write_function(hooks)
        if keys and not keys.isdisjoint(value):
            return InvalidValue(f"the names of {type_name(kind)}, not its keys", value)
        return made(value)

    return write


def _write_record(hooks: list[tuple[str, str, Write | None]], value: Mapping[str, Any]) -> Any:
    return {
        wire: value[name] if hook is None else hook(value[name])
        for name, wire, hook in hooks
        if name in value
    }


def _write_function(hooks: list[tuple[str, str, Write | None]]) -> _Convert:
    """Generate the function that makes JSON data of an instance with attributes."""
    items = [
        f"{wire!r}: data.{name}" if hook is None else f"{wire!r}: write_{position}(data.{name})"
        for position, (name, wire, hook) in enumerate(hooks)
    ]
    names = {f"write_{position}": hook for position, (_, _, hook) in enumerate(hooks)}
    return _function(f"    return {{{', '.join(items)}}}", names)


def _write_hooks(kind: Any, converter: Converter) -> Iterator[tuple[str, str, Write | None]]:
    for field in fields_of(kind):
        hook = converter.get_unstructure_hook(field.type)
        yield field.name, field.wire, None if hook is identity else hook


def _first(issues: Issues) -> str:
    issue = issues.items[0]
    return f"{issue.path.lstrip('.')}: {issue.expected}" if issue.path else issue.expected
