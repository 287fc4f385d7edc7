"""Export: documents about a system, which the official validators of their formats accept."""

from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema_rs import Draft7Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from arvo import Contract, System
from arvo.cli.app import run_command
from arvo.engine.system.asyncapi import asyncapi
from arvo.interpreters.http.openapi import openapi
from tests.handlers.test_outcomes import as_flow as loans
from tests.handlers.test_outcomes import tell
from tests.interpreters.runtime.test_asks import as_flow, checking
from tests.shop import shop

SCHEMA = Path(__file__).parents[1] / "data" / "asyncapi" / "3.0.0.json"
signals = System([as_flow, checking])
outcomes = System([loans, tell])
SYSTEMS = pytest.mark.parametrize("system", [signals, outcomes, shop, System([])])


@cache
def asyncapi_validator() -> Draft7Validator:
    return Draft7Validator(orjson.loads(SCHEMA.read_bytes()))


@SYSTEMS
def test_the_document_of_the_http_interface_is_openapi(system: System) -> None:
    """Clients in other languages are generated from it."""
    OpenAPIV31SpecValidator(openapi(system)).validate()


@SYSTEMS
def test_the_document_of_the_events_is_asyncapi(system: System) -> None:
    asyncapi_validator().validate(asyncapi(system))


def references(value: Any) -> list[str]:
    match value:
        case dict():
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [ref for inner in value.values() for ref in references(inner)]
        case list():
            return [ref for inner in value for ref in references(inner)]
        case _:
            return []


@SYSTEMS
@pytest.mark.parametrize("make", [openapi, asyncapi])
def test_each_reference_of_a_document_has_its_target(system: System, make: Any) -> None:
    """The validators do not follow those inside of payloads."""
    document = make(system)

    for ref in references(document):
        target = document
        for part in ref.removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]


def test_the_documents_have_the_contracts() -> None:
    http, events = openapi(signals), asyncapi(signals)

    assert set(http["paths"]) == {
        "/workflows",
        "/workflows/blog.publish/1.0.0",
        "/workflows/{workflow}/signals/com.blog.approve",
        "/workflows/{workflow}/signals/com.blog.close",
        "/workflows/{workflow}/result",
        "/workflows/{workflow}/events",
    }
    asked = http["paths"]["/workflows/{workflow}/signals/com.blog.approve"]["post"]
    assert set(asked["responses"]) == {"200", "202", "default"}
    begun = http["components"]["schemas"]["arvo.orc.blog.publish.1.0.0"]
    assert begun["required"] == ["page"]
    operations = events["operations"]
    assert operations["com.blog.approve.1.0.0"]["action"] == "receive"
    assert operations["arvo.orc.blog.publish.1.0.0"]["action"] == "receive"
    assert "evt.blog.approved.1.0.0" in events["components"]["messages"]


def test_what_only_others_handle_is_sent() -> None:
    """A workflow whose services run in other systems."""
    operations = asyncapi(System([as_flow]))["operations"]

    assert operations["com.blog.check.1.0.0"]["action"] == "send"


@pytest.mark.parametrize("option", ["--openapi", "--asyncapi", "--json-schema"])
def test_documents_are_printed(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["export", "tests.cli.test_export:signals", option]) == 0

    printed = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    match option:
        case "--openapi":
            assert printed == [openapi(signals, title="tests.cli.test_export:signals")]
        case "--asyncapi":
            assert printed == [asyncapi(signals, title="tests.cli.test_export:signals")]
        case _:
            read = [Contract.from_json_schema(document) for document in printed]
            assert [it.uri for it in read] == ["#/publication", "#/check"]


@pytest.mark.parametrize("options", [[], ["--openapi", "--asyncapi"]])
def test_one_document_is_printed_at_a_time(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["export", "tests.cli.test_export:signals", *options]) == 2
    assert "expected one of --openapi" in capsys.readouterr().err
