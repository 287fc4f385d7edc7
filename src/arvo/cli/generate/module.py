"""Module: the Python module of a contract that exists as JSON."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from attrs import evolve

from arvo.cli.generate.classes import Classes, WrittenClass
from arvo.cli.generate.names import free_name, identifier
from arvo.cli.generate.normalise import normalise
from arvo.cli.generate.source import (
    LINE_CHARACTERS_MAX,
    Expression,
    Items,
    call,
    layout,
    literal,
    quote,
)
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.orchestrator import OrchestratorContract
from arvo.core.contracts.simple import SimpleContract
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.zod import ZodSchema

_ADDED: Final = ("contractType", "rootType", "initEventType", "completeEventType")


def write_module(*contracts: Contract[Any]) -> str:
    """Return a module with the payload classes and the declarations of *contracts*.

    Its contracts equal *contracts* in their exported JSON. A payload that no class expresses
    exactly stays a JSON Schema. The payloads of zod become classes that accept the same data, with
    a schema of their own. Equal payloads are one class.
    """
    named: dict[str, Contract[Any]] = {}
    for contract in contracts:
        named[free_name(_name(contract), named, "_")] = contract
    classes = Classes(frozenset(named))
    declared = [
        line
        for name, contract in named.items()
        for line in ("", "", layout(f"{name} = ", _declaration(contract, classes)))
    ]
    more = len(contracts) - 1
    title = f"The contract {contracts[0].uri}{f', and {more} more' if more else ''}"
    lines = [f'"""{title}."""', "", *_imports(classes.imports)]
    lines.pop()
    for written in classes.written:
        lines += ["", "", written.source]
        if written.name != written.title:
            lines += [
                "",
                "",
                f"{written.name}.__name__ = {quote(written.title)}  # its name in the schema",
            ]
    return "\n".join([*lines, *declared, ""])


def _declaration(contract: Contract[Any], classes: Classes) -> Expression:
    versions = {number: _version(contract, number, classes) for number in contract.sorted_versions}
    kind = type(contract).__name__
    classes.imports |= {("arvo", kind)}
    arguments: dict[str, Expression] = {"uri": quote(contract.uri), **_type(contract)}
    arguments["versions"] = Items(
        "", "{}", tuple((f"{quote(number)}: ", it) for number, it in versions.items())
    )
    for key in ("domain", "description"):
        if getattr(contract, key) is not None:
            arguments[key] = quote(getattr(contract, key))
    metadata = {key: it for key, it in contract.metadata.items() if key not in _ADDED}
    if metadata:
        arguments["metadata"] = literal(metadata)
    return call(kind, **arguments)


def _name(contract: Contract[Any]) -> str:
    word = re.sub(r"\W", "_", identifier(contract.type.rpartition(".")[2]))
    return f"{word}_contract" if word.isidentifier() else f"contract_{word}"


def _type(contract: Contract[Any]) -> dict[str, Expression]:
    if isinstance(contract, OrchestratorContract):
        return {"name": quote(contract.name)}
    if isinstance(contract, SimpleContract):
        return {"type": quote(contract.type.removeprefix("com."))}
    return {"type": quote(contract.type)}


def _version(contract: Contract[Any], number: str, classes: Classes) -> Expression:
    version = contract[number]
    emitted = {name: _payload(classes, payload, name) for name, payload in version.emitted.items()}
    is_workflow = isinstance(contract, OrchestratorContract)
    accepted = _payload(classes, version.accepted, contract.type, is_init=is_workflow)
    if is_workflow:
        classes.imports |= {("arvo", "Workflow")}
        return call("Workflow", init=accepted, complete=next(iter(emitted.values())))
    classes.imports |= {("arvo", "Version")}
    if isinstance(contract, SimpleContract):
        return call("Version", accepts=accepted, emits=next(iter(emitted.values())))
    items = tuple((f"{quote(name)}: ", it) for name, it in emitted.items())
    return call("Version", accepts=accepted, emits=Items("", "{}", items))


def _payload(
    classes: Classes, payload: Payload[Any], event_type: str, *, is_init: bool = False
) -> Expression:
    """Return the class of a payload, or its JSON Schema where no class has exactly that schema."""
    exported = _without_parent(payload.schema) if is_init else payload.schema
    attempt = evolve(
        classes,
        imports={*classes.imports},
        written=[*classes.written],
        names={**classes.names},
        values={**classes.values},
    )
    try:
        expected = _of_zod(exported, event_type) if payload.is_zod else exported
        name = attempt.payload(expected)
        new = attempt.written[len(classes.written) :]
        is_exact = _run(attempt, new, name).schema == expected
    except Exception:  # noqa: BLE001  # a schema from elsewhere, which may hold anything
        is_exact = False
    if is_exact:
        classes.imports, classes.written = attempt.imports, attempt.written
        classes.names, classes.values = attempt.names, attempt.values
        return name
    if not payload.is_zod:
        return literal(exported)
    classes.imports |= {("arvo", "ZodSchema")}
    return call("ZodSchema", literal(exported))


def _run(classes: Classes, new: Sequence[WrittenClass], name: str) -> Payload[Any]:
    """Return the payload of a class by its source, of which each name and text is quoted.

    *new*: the classes that did not run before.
    """
    values = classes.values
    lines = [*_imports(classes.imports), *(it.source for it in new)]
    lines += [f"{it.name}.__name__ = {quote(it.title)}" for it in new]
    exec("\n".join(lines), values)  # noqa: S102  # the module that the caller asks for
    return Payload.of(values[name])


def _without_parent(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an init event without the key that the contract adds."""
    properties = {key: it for key, it in schema["properties"].items() if key != PARENT_SUBJECT}
    required = [key for key in schema.get("required", ()) if key != PARENT_SUBJECT]
    made = {**schema, "properties": properties, "required": required}
    return {key: it for key, it in made.items() if key != "required" or it}


def _of_zod(schema: dict[str, Any], event_type: str) -> dict[str, Any]:
    """Return the schema of a class that accepts what zod accepts."""
    own = ZodSchema(schema).checked
    words = (word for part in event_type.split(".") for word in part.split("_"))
    title = "".join(word.capitalize() for word in words)
    return normalise(own, title)


def _imports(used: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the lines of the imports: of Python, of others and of Arvo."""
    for group in (_PYTHON, _OTHERS, ("arvo",)):
        lines = []
        for module in group:
            names = sorted((name for it, name in used if it == module), key=_import_order)
            if names:
                line = f"from {module} import {', '.join(names)}"
                is_long = len(line) > LINE_CHARACTERS_MAX
                items = Items("", "()", tuple(("", it) for it in names))
                lines.append(layout(f"from {module} import ", items) if is_long else line)
        if lines:
            yield from (*lines, "")


_PYTHON: Final = ("collections.abc", "datetime", "decimal", "typing", "uuid")
_OTHERS: Final = ("annotated_types", "attrs")


def _import_order(name: str) -> tuple[bool, bool, str]:
    # Constants, classes, functions: as tools order them.
    return name.islower(), not name.isupper(), name
