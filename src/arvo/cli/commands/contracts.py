"""Contracts: the commands that export and import documents about contracts."""

from typing import Annotated

from cyclopts import Parameter

from arvo.cli.generate.module import write_module
from arvo.cli.terminal.errors import UsageError
from arvo.cli.terminal.events import read_contracts
from arvo.cli.terminal.load import FileName, SystemName, load_system
from arvo.cli.terminal.output import print_json, print_line
from arvo.engine.system.asyncapi import asyncapi as make_asyncapi
from arvo.interpreters.http.openapi import openapi as make_openapi


def export(
    system: SystemName,
    /,
    *,
    openapi: Annotated[bool, Parameter(negative="")] = False,
    asyncapi: Annotated[bool, Parameter(negative="")] = False,
    json_schema: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Print a document about a system, made from its contracts, as JSON.

    Parameters
    ----------
    openapi
        The HTTP interface of its workflows, OpenAPI 3.1.
    asyncapi
        Its events, AsyncAPI 3.0.
    json_schema
        Its contracts, one a line, as `Contract.json_schema` exports them.
    """
    if [openapi, asyncapi, json_schema].count(True) != 1:
        raise UsageError("export: expected one of --openapi, --asyncapi, --json-schema")
    loaded = load_system(system, "memory:")
    if openapi:
        print_json(make_openapi(loaded, title=system))
    elif asyncapi:
        print_json(make_asyncapi(loaded, title=system))
    else:
        for handler in loaded.handlers:
            print_json(handler.contract.json_schema())


def import_contract(document: FileName = "-", /) -> None:
    """Print the Python of contracts that exist as JSON: payload classes and their contracts.

    DOCUMENT is a JSON file, or - for standard input: what `Contract.json_schema` exports, or
    `toJsonSchema` of the TypeScript packages; several as a list, or one a line, as
    `arvo export --json-schema` prints them. A payload that no class has exactly stays a JSON
    Schema.
    """
    print_line(write_module(*read_contracts(document)).removesuffix("\n"))
