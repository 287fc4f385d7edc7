"""Validation: compiles JSON Schemas, and turns a validator's errors into issues."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, final

from jsonschema_rs import ValidationError, Validator, validator_for
from jsonschema_rs import ValidationErrorKind as Kind

from arvo.core.payloads.json_data import are_unique
from arvo.core.violations.issue import (
    ISSUES_COUNTED_MAX,
    Issue,
    Issues,
    join_path,
    one_line,
    short_repr,
)

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


def compile_validator(schema: Mapping[str, Any], *, counts_as_zod: bool = False) -> Validator:
    """Compile *schema* with every format checked, by the draft it names or else draft 2020-12.

    *counts_as_zod*: whether the length of a string is that of JavaScript, in UTF-16.

    A format that is younger than the draft is checked as well: exporters name draft 7 and write
    `uuid`. Raises ValueError if it is not a valid schema, or if it refers to another document.
    """
    return validator_for(
        dict(schema),
        validate_formats=True,
        formats=_YOUNGER_FORMATS if _OLD_DRAFT in str(schema) else None,
        retriever=_refuse_reference,
        keywords={"uniqueItems": UniqueItems} | (_LENGTHS if counts_as_zod else {}),
    )


# The formats that draft 4, 6 or 7 does not define.
_YOUNGER_FORMATS = {
    name: validator_for({"format": name}, validate_formats=True).is_valid
    for name in (
        "duration",
        "idn-hostname",
        "iri",
        "iri-reference",
        "json-pointer",
        "relative-json-pointer",
        "uri-reference",
        "uri-template",
        "uuid",
    )
}
# Its `$schema` ends in draft-04, -06 or -07; also that of a part of the document.
_OLD_DRAFT = "/draft-0"


@final
class UniqueItems:
    """The keyword `uniqueItems` of a validator.

    The validator's own compares each pair of items that have one hash, and it hashes integers as
    floats: 20,000 items with neighbouring integers beyond 53 bits took 19 s.
    """

    def __init__(self, parent_schema: Any, value: Any, schema_path: Any) -> None:  # noqa: ARG002
        self.is_required = value is True

    def validate(self, instance: Any) -> None:
        """Raise ValueError if *instance* is an array with equal items."""
        if self.is_required and isinstance(instance, list) and not are_unique(instance):
            raise ValueError("unique items")


class _Length:
    """The keywords `minLength` and `maxLength` of a validator, in code units of UTF-16."""

    sign = 1
    words = "at most"

    def __init__(self, parent_schema: Any, value: Any, schema_path: Any) -> None:  # noqa: ARG002
        self.limit = value

    def validate(self, instance: Any) -> None:
        """Raise ValueError if *instance* is a string beyond the limit."""
        if isinstance(instance, str):
            length = len(instance.encode("utf-16-le", "surrogatepass")) // 2
            if self.sign * (length - self.limit) > 0:
                raise ValueError(f"{self.words} {_count(self.limit, 'character')}")


@final
class _MinLength(_Length):
    sign = -1
    words = "at least"


_LENGTHS: dict[str, Any] = {"minLength": _MinLength, "maxLength": _Length}


def _refuse_reference(uri: str) -> Any:
    # The default retriever opens connections and files that the author of the contract picks.
    raise LookupError(f"the schema refers to {uri}: put everything into one document")


def moved(schema: Any, to: str) -> Any:
    """Make the references inside *schema* those of a part at *to* of another document."""
    if isinstance(schema, list):
        return [moved(item, to) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: f"{to}{item[1:]}"
        if key == "$ref" and isinstance(item, str) and item.startswith("#")
        else moved(item, to)
        for key, item in schema.items()
    }


def explain(errors: Iterable[ValidationError], path: str) -> Issues:
    """Turn a validator's *errors* about the data at *path* into Issues."""
    issues = islice(
        (issue for error in errors for issue in _issues(error, path)), ISSUES_COUNTED_MAX
    )
    # Sorted, because the validator's own order changes between its versions.
    return Issues.of(sorted(issues, key=lambda issue: issue.path))


def _issues(error: ValidationError, path: str) -> Iterator[Issue]:
    here = join_path(path, *error.instance_path)
    match error.kind:
        case Kind.Required(property=key):
            yield Issue(join_path(here, key), "a value (required)", NOTHING)
        case (
            Kind.AdditionalProperties(unexpected=keys) | Kind.UnevaluatedProperties(unexpected=keys)
        ):
            for key in keys:
                yield Issue(
                    join_path(here, key), "no such key", short_repr(_at(error.instance, key))
                )
        case Kind.PropertyNames(error=inner):
            for issue in _issues(inner, here):
                yield Issue(here, f"keys that are {issue.expected}", issue.got)
        case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
            yield from _branches(error, branches, path, here)
        case _:
            yield Issue(here, _expected(error), short_repr(error.instance))


def _branches(
    error: ValidationError, branches: list[list[ValidationError]], path: str, here: str
) -> Iterator[Issue]:
    """Report the errors of the branch that the sender intended, or those that all branches share.

    *branches* are the errors of each alternative of an `anyOf` or `oneOf`.
    """
    # A branch of another JSON type was not intended: null, in an optional field.
    candidates = [
        branch for branch in branches if not any(_is_type_at(e, error) for e in branch)
    ] or branches
    if len(candidates) > 1:
        shared = _shared(candidates)
        if shared:
            yield from _merge(shared, path)
            return
        # The discriminator fits the intended branch and none of the others.
        misses = [(sum(map(_is_choice, branch)), len(branch)) for branch in candidates]
        candidates = [
            branch for branch, count in zip(candidates, misses, strict=True) if count == min(misses)
        ]
    if len(candidates) == 1:
        for inner in candidates[0]:
            yield from _issues(inner, path)
    else:
        alternatives = dict.fromkeys(_expected(branch[0]) for branch in candidates if branch)
        yield Issue(here, " or ".join(alternatives) or "another value", short_repr(error.instance))


def _is_type_at(error: ValidationError, outer: ValidationError) -> bool:
    return isinstance(error.kind, Kind.Type) and error.instance_path == outer.instance_path


def _is_choice(error: ValidationError) -> bool:
    return isinstance(error.kind, Kind.Constant | Kind.Enum)


def _key(error: ValidationError) -> tuple[Any, ...]:
    missing = error.kind.property if isinstance(error.kind, Kind.Required) else None
    choice = isinstance(error.kind, Kind.Constant | Kind.Enum | Kind.Type)
    return (*error.instance_path, missing, "choice" if choice else error.kind.name)


def _shared(branches: list[list[ValidationError]]) -> list[list[ValidationError]]:
    """Group the errors that all branches have at one path: a missing or unknown discriminator."""
    by_key = [{_key(error): error for error in branch} for branch in branches]
    keys = [key for key in by_key[0] if all(key in errors for errors in by_key)]
    return [[errors[key] for errors in by_key] for key in keys]


def _merge(groups: list[list[ValidationError]], path: str) -> Iterator[Issue]:
    for group in groups:
        first = group[0]
        if isinstance(first.kind, Kind.Required):
            yield from _issues(first, path)
        else:
            expected = " or ".join(dict.fromkeys(map(_expected, group)))
            yield Issue(
                join_path(path, *first.instance_path),
                one_line(expected),
                short_repr(first.instance),
            )


def _expected(error: ValidationError) -> str:
    match error.kind:
        case Kind.Type(types=types):
            return " or ".join(_TYPES[name] for name in sorted(types, key=list(_TYPES).index))
        case Kind.Enum(options=options):
            return _options(options)
        case Kind.Constant(expected_value=value):
            return short_repr(value)
        case Kind.Format(format=name):
            return _FORMATS.get(name, f"a string of the format {name}")
        case Kind.Pattern(pattern=regex):
            return f"a string that matches {one_line(regex)}"
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
        case Kind.Custom(message=message):
            return message
        case Kind.OneOfMultipleValid():
            return "a match for exactly one alternative"
        case Kind.FalseSchema():
            return NOTHING
        case _:
            # The rare keywords (not, contains, …) and those of later versions.
            return f"a value that the keyword {error.kind.name} allows ({one_line(error.message)})"


def _options(options: list[Any]) -> str:
    values = [short_repr(option) for option in options]
    return values[0] if len(values) == 1 else one_line("one of " + ", ".join(values))


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _at(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None
