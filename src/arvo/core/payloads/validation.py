"""Explain: a validator's errors in plain words."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from arvo.core.violations.issue import COUNTED_MAX, Issue, Issues, below, one_line, short

_TYPES = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "a boolean",
    "null": "null",
    "array": "an array",
    "object": "an object",
}
_FORMATS = {
    "date-time": "a date and time with an offset",
    "date": "a date",
    "time": "a time with an offset",
    "duration": "a duration",
    "email": "an email address",
    "uuid": "a UUID",
    "uri": "a URI",
}
NOTHING = "nothing"


def explain(errors: Iterable[ValidationError], path: str) -> Issues:
    """Turn the *errors* of a validator about the data at *path* into Issues."""
    issues = islice((each for error in errors for each in _issues(error, path)), COUNTED_MAX)
    # Sorted, because the validator's own order is another in each of its versions.
    return Issues.of(sorted(issues, key=lambda each: each.path))


def _issues(error: ValidationError, path: str) -> Iterator[Issue]:
    here = below(path, *error.instance_path)
    match error.kind:
        case Kind.Required(property=key):
            yield Issue(below(here, key), "a value (required)", NOTHING)
        case (
            Kind.AdditionalProperties(unexpected=keys) | Kind.UnevaluatedProperties(unexpected=keys)
        ):
            for key in keys:
                yield Issue(below(here, key), "no such key", short(_at(error.instance, key)))
        case Kind.PropertyNames(error=inner):
            for each in _issues(inner, here):
                yield Issue(here, f"keys that are {each.expected}", each.got)
        case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
            yield from _branches(error, branches, path, here)
        case _:
            yield Issue(here, _expected(error), short(error.instance))


def _branches(
    error: ValidationError, branches: list[list[ValidationError]], path: str, here: str
) -> Iterator[Issue]:
    """Tell about the branch that was meant, or what all branches miss."""
    # A branch of another JSON type was not meant: null, in an optional field.
    meant = [each for each in branches if not any(_is_type_at(e, error) for e in each)] or branches
    if len(meant) > 1:
        shared = _shared(meant)
        if shared:
            yield from _merged(shared, path)
            return
        # The tag of the branch that was meant fits, and that of the others does not.
        misses = [(sum(map(_is_choice, each)), len(each)) for each in meant]
        meant = [each for each, count in zip(meant, misses, strict=True) if count == min(misses)]
    if len(meant) == 1:
        for each in meant[0]:
            yield from _issues(each, path)
    else:
        forms = dict.fromkeys(_expected(each[0]) for each in meant if each)
        yield Issue(here, " or ".join(forms) or "another value", short(error.instance))


def _is_type_at(error: ValidationError, outer: ValidationError) -> bool:
    return isinstance(error.kind, Kind.Type) and error.instance_path == outer.instance_path


def _is_choice(error: ValidationError) -> bool:
    return isinstance(error.kind, Kind.Constant | Kind.Enum)


def _key(error: ValidationError) -> tuple[Any, ...]:
    missing = error.kind.property if isinstance(error.kind, Kind.Required) else None
    choice = isinstance(error.kind, Kind.Constant | Kind.Enum | Kind.Type)
    return (*error.instance_path, missing, "choice" if choice else error.kind.name)


def _shared(branches: list[list[ValidationError]]) -> list[list[ValidationError]]:
    """Group the errors all branches have at one place: a tag that is missing or unknown."""
    grouped = [{_key(error): error for error in each} for each in branches]
    keys = [key for key in grouped[0] if all(key in each for each in grouped)]
    return [[each[key] for each in grouped] for key in keys]


def _merged(groups: list[list[ValidationError]], path: str) -> Iterator[Issue]:
    for group in groups:
        first = group[0]
        if isinstance(first.kind, Kind.Required):
            yield from _issues(first, path)
        else:
            words = dict.fromkeys(map(_expected, group))
            expected = " or ".join(words)
            yield Issue(
                below(path, *first.instance_path), one_line(expected), short(first.instance)
            )


def _expected(error: ValidationError) -> str:
    match error.kind:
        case Kind.Type(types=types):
            return " or ".join(_TYPES[each] for each in sorted(types, key=list(_TYPES).index))
        case Kind.Enum(options=options):
            return _options(options)
        case Kind.Constant(expected_value=value):
            return short(value)
        case Kind.Format(format=name):
            return _FORMATS.get(name, f"a text of the format {name}")
        case Kind.Pattern(pattern=regex):
            return f"a text that matches {one_line(regex)}"
        case Kind.MinLength(limit=n):
            return f"at least {_count(n, 'character')}"
        case Kind.MaxLength(limit=n):
            return f"at most {_count(n, 'character')}"
        case Kind.MinItems(limit=n):
            return f"at least {_count(n, 'item')}"
        case Kind.MaxItems(limit=n) | Kind.AdditionalItems(limit=n):
            return f"at most {_count(n, 'item')}"
        case Kind.MinProperties(limit=n):
            return f"at least {_count(n, 'key')}"
        case Kind.MaxProperties(limit=n):
            return f"at most {_count(n, 'key')}"
        case _:
            return _expected_number(error)


def _expected_number(error: ValidationError) -> str:
    match error.kind:
        case Kind.Minimum(limit=n):
            return f"at least {n}"
        case Kind.ExclusiveMinimum(limit=n):
            return f"more than {n}"
        case Kind.Maximum(limit=n):
            return f"at most {n}"
        case Kind.ExclusiveMaximum(limit=n):
            return f"less than {n}"
        case Kind.MultipleOf(multiple_of=n):
            return f"a multiple of {n}"
        case Kind.UniqueItems():
            return "items that all differ"
        case Kind.OneOfMultipleValid():
            return "exactly one of its forms"
        case Kind.FalseSchema():
            return NOTHING
        case _:
            # The rare keywords (not, contains, …) and those of later versions.
            return f"what the keyword {error.kind.name} asks for ({one_line(error.message)})"


def _options(options: list[Any]) -> str:
    shown = [short(each) for each in options]
    return shown[0] if len(shown) == 1 else one_line("one of " + ", ".join(shown))


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _at(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None
