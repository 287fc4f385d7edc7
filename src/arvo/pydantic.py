"""Pydantic: makes payloads of pydantic's models; import this module once, before contracts do.

The model describes and validates itself: its JSON Schema, its checks, its defaults and its
conversions are pydantic's. So data counts as valid where the model accepts it in JSON, and a model
that is not strict takes `"1"` for the number 1.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
import orjson

from arvo.core.payloads.types.adapters import register_adapter
from arvo.core.payloads.types.classes import PayloadError
from arvo.core.payloads.types.field import Field
from arvo.core.violations.issue import Issue, Issues, join_path, one_line, short_repr
from arvo.extras import needs_extra

with needs_extra("arvo.pydantic"):
    from pydantic import AliasChoices, AliasPath, BaseModel, ValidationError
    from pydantic.errors import PydanticUserError
    from pydantic_core import ErrorDetails


class _Models:
    """The adapter of pydantic's models."""

    def schema(self, cls: type[BaseModel]) -> dict[str, Any]:
        try:
            schema = cls.model_json_schema()
        except PydanticUserError as error:
            reason = one_line(str(error))
            raise PayloadError(
                f"{cls.__name__}: pydantic has no JSON Schema of it: {reason}"
            ) from error
        reference = schema.get("$ref")
        if isinstance(reference, str):
            # A model that contains itself: its own schema is a reference, too.
            name = reference.rpartition("/")[2]
            schema = {**schema.get("$defs", {}).get(name, {}), **schema}
            del schema["$ref"]
        if schema.get("type") != "object":
            kind = schema.get("type", "no object")
            raise PayloadError(
                f"{cls.__name__}: a payload is an object in JSON, but this model is {kind}: "
                "make it a field of a model"
            )
        return schema

    def fields(self, cls: type[BaseModel]) -> tuple[Field, ...]:
        config = cls.model_config
        by_name = config.get("populate_by_name") or config.get("validate_by_name")
        found = []
        for name, field in cls.model_fields.items():
            key = _key(name, field.validation_alias or field.alias)
            argument = name if by_name else key
            found.append(
                Field(name, argument, key, field.annotation, attrs.NOTHING, field.is_required())
            )
        return tuple(found)

    def read(self, cls: type[BaseModel], data: Any, path: str) -> Any | Issues:
        try:
            # As JSON, not as Python values: a strict model reads a date of a string there alone.
            return cls.model_validate_json(orjson.dumps(data))
        except ValidationError as error:
            return Issues.of(_issue(details, data, path) for details in error.errors())

    def write(self, value: BaseModel, path: str) -> Any | Issues:
        try:
            data = value.model_dump(mode="json", by_alias=True, warnings=False)
        except ValueError as error:
            return Issues.one(path, "a value that pydantic can write as JSON", one_line(str(error)))
        # A model may change after its checks, and pydantic writes infinity as null.
        read = self.read(type(value), data, path)
        return read if isinstance(read, Issues) else data


def _key(name: str, alias: str | AliasChoices | AliasPath | None) -> str:
    """Return the key of a field in JSON; of several that pydantic takes, the first."""
    first = alias.choices[0] if isinstance(alias, AliasChoices) else alias
    return first if isinstance(first, str) else name


def _issue(details: ErrorDetails, data: Any, path: str) -> Issue:
    is_missing = details["type"] == "missing"
    steps = tuple(_steps(details["loc"], data, is_missing=is_missing))
    if is_missing:
        return Issue(join_path(path, *steps), "a value (required)", "nothing")
    if details["type"] == "extra_forbidden":
        return Issue(join_path(path, *steps), "no such key", short_repr(details["input"]))
    # Its messages are sentences: "Input should be …", "String should have at least 3 characters".
    expected, count = _SUBJECT.subn("", details["msg"])
    if not count:
        expected = f"a value that the model accepts ({one_line(details['msg'])})"
    return Issue(join_path(path, *steps), one_line(expected), short_repr(details["input"]))


_SUBJECT: Final = re.compile(r"^(Input should be |\w+ should have (?=at ))")


def _steps(loc: tuple[int | str, ...], data: Any, *, is_missing: bool) -> Iterator[int | str]:
    """Yield the parts of *loc* that lead into *data*; pydantic also names members of unions."""
    for position, step in enumerate(loc):
        if isinstance(data, Mapping) and isinstance(step, str):
            if step in data or (is_missing and position == len(loc) - 1):
                yield step
                data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            yield step
            data = data[step]


_ADAPTER: Final = _Models()
register_adapter(BaseModel, _ADAPTER)
