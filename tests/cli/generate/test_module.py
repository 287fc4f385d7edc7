"""Tests of the module that is written of a contract."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from annotated_types import Ge, Len, MultipleOf, doc
from attrs import field, frozen

from arvo import (
    Alias,
    Contract,
    Format,
    OrchestratorContract,
    Pattern,
    SimpleContract,
    Version,
    Workflow,
)
from arvo.cli import main
from arvo.cli.generate.module import write_module
from arvo.core.violations.issue import Issues
from tests.core.contracts.test_zod import SCHEMAS, VALUES, document


@frozen
class Line:
    sku: Annotated[str, Pattern("^[A-Z]{3}-[0-9]+$")]
    amount: Annotated[int, Ge(1)] = 1


@frozen
class Card:
    kind: Literal["card"] = "card"


@frozen
class Invoice:
    address: str
    kind: Literal["invoice", "bill"] = "invoice"


@frozen
class PlaceOrder:
    """An order as a customer sends it.

    In one step.
    """

    order_id: Annotated[str, doc("Its key.")] = field(alias="orderId")
    sender: Annotated[str, Alias("from"), Format("email")]
    lines: Annotated[tuple[Line, ...], Len(1, 100)]
    by: Card | Invoice
    total: Decimal
    step: Annotated[float, MultipleOf(0.5)] = 1.5
    wanted: date | None = None
    tags: frozenset[str] = frozenset()


class Placed(TypedDict):
    id: str
    note: NotRequired[str]


@frozen
class Tree:
    name: str
    inner: "tuple[Tree, ...]" = ()


def _order_v1() -> type[Any]:
    @frozen
    class PlaceOrder:  # of another version
        id: str

    return PlaceOrder


orders = Contract(
    uri="#/contracts/order",
    type="com.shop.order",
    domain="shop.eu",
    description='The "orders".',
    metadata={"owner": "ann", "tags": ["a", 1, None]},
    versions={
        "1.0.0": Version(accepts=_order_v1(), emits={}),
        "2.0.0": Version(accepts=PlaceOrder, emits={"evt.shop.placed": Placed, "evt.a.b": Tree}),
    },
)
simple: Any = SimpleContract(
    uri="#/contracts/tree", type="shop.tree", versions={"1.0.0": Version(accepts=Tree, emits=Line)}
)
workflows = OrchestratorContract(
    uri="#/orchestrators/order",
    name="order.place",
    versions={"1.0.0": Workflow(init=PlaceOrder, complete=Line)},
)
bare = Contract(
    uri="#/contracts/bare",
    type="com.bare.data",
    versions={"1.0.0": Version(accepts={"type": "object", "minProperties": 1}, emits={})},
)


# Of 102: those that classes cannot express, such as defaults of objects and open keys.
NO_CLASSES = {"inter3", "nat3"} | {
    f"{name}{version}"
    for name in ("passthrough", "catchall", "ip", "cidr", "emoji", "tupleRest", "union", "disc")
    for version in (3, 4)
}
NO_CLASSES |= {"defaults3", "defaults4", "lazy3", "lazy4"}


def contract_of(source: str) -> Contract[Any]:
    """Run a module, and return its contract."""
    names: dict[str, Any] = {"__name__": "written"}
    exec(source, names)  # noqa: S102  # what this test is about
    [found] = [value for value in names.values() if isinstance(value, Contract)]
    return found


@pytest.mark.parametrize("contract", [orders, simple, workflows, bare])
def test_the_contract_of_the_module_is_the_one_of_the_document(contract: Contract[Any]) -> None:
    """A service in Python declares the same as the one that exported it."""
    exported = contract.json_schema()

    source = write_module(Contract.from_json_schema(json.dumps(exported)))

    written = contract_of(source)
    assert type(written) is type(contract)
    assert written.json_schema() == exported


def test_the_classes_are_those_that_an_author_writes() -> None:
    """With constraints, aliases, defaults and docstrings, in the layout of formatters."""
    source = write_module(Contract.from_json_schema(workflows.json_schema()))

    assert source == (Path(__file__).parent / "place.txt").read_text()


def of_schemas(*schemas: dict[str, Any], event_type: str = "com.any.thing") -> Contract[Any]:
    """Return the contract that a document with these payloads declares."""
    emits = {f"evt.any.thing{number}": schema for number, schema in enumerate(schemas[1:])}
    versions = {"1.0.0": Version(accepts=schemas[0], emits=emits)}
    contract: Contract[Any] = Contract(uri="#/contracts/any", type=event_type, versions=versions)
    return Contract.from_json_schema(json.dumps(contract.json_schema()))


def an_object(title: str, **fields: object) -> dict[str, Any]:
    """Return the schema of an object whose fields are all required."""
    return {"title": title, "type": "object", "properties": fields, "required": [*fields]}


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    "title",
    [
        *("class", "None", "str", "int", "tuple", "print", "__name__", "__builtins__"),
        *("Contract", "thing_contract", "_Own", "ﬁx", "Page[int]"),
    ],
)
def test_a_class_hides_no_name_that_the_module_needs(title: str) -> None:
    """A title of another program is any text; Python reads ``ﬁx`` as ``fix``."""
    contract = of_schemas(
        an_object(title, a=TEXT, b={"type": "integer"}, c={"type": "boolean"}),
        an_object("fix", a=TEXT, b={"type": "number"}),
        an_object("Other", a={"type": "array", "items": TEXT}),
    )

    source = write_module(contract)

    assert '"type": "object"' not in source
    assert contract_of(source).json_schema() == contract.json_schema()


def test_a_field_hides_no_type_of_the_class() -> None:
    """Below ``date: date | None = None``, the name of the type is None."""
    day = {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "default": None}
    schema = {
        "title": "Stay",
        "type": "object",
        "properties": {"date": day, "until": day, "str": TEXT | {"default": "a"}, "doc": day},
    }

    source = write_module(of_schemas(schema))

    assert '    date_: Annotated[date | None, Alias("date")] = None' in source
    assert "    until: date | None = None" in source
    assert '    str_: Annotated[str, Alias("str")] = "a"' in source
    assert "    doc: date | None = None" in source
    assert contract_of(source)["1.0.0"].accepted.schema == schema


@pytest.mark.parametrize(
    "text",
    [
        '"""',
        "'''\"\"\"",
        'so "a"',
        'a\\"""',
        "\\N{BEL} \\",
        "a\n\nb",
        "\u202eevil",
        "a\x1b[2J",
        "a\x00b",
        "x" * 200,
        "a \n b",
        " a",
        "a\tb",
        "a\r\nb",
    ],
)
def test_a_text_of_another_program_ends_no_string(text: str) -> None:
    """It stands in docstrings, in calls and as a default, and is visible in each."""
    field = TEXT | {"description": text}
    schema = an_object("Note", a=field, b={"enum": [text, "z"], "type": "string"})
    schema |= {"description": text}
    schema["properties"]["c"] = TEXT | {"default": text}
    contract = of_schemas(schema)

    source = write_module(contract)

    assert source.replace("\n", "").isprintable()
    assert contract_of(source).json_schema() == contract.json_schema()


@pytest.mark.parametrize(
    ("event_type", "name"),
    [("com.any.2fa", "contract_2fa"), ("com.any.class", "class_contract")],
)
def test_the_name_of_the_contract_is_one(event_type: str, name: str) -> None:
    """A segment of a type may begin with a digit, and a name may not."""
    source = write_module(of_schemas(an_object("Code", a=TEXT), event_type=event_type))

    assert f"{name} = Contract(" in source
    assert contract_of(source).type == event_type


def test_a_payload_that_no_class_has_stays_a_schema() -> None:
    """The contract is complete all the same."""
    source = write_module(bare)

    assert 'accepts={"type": "object", "minProperties": 1},' in source


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_contract_over_zod_accepts_the_same_as_classes(name: str) -> None:
    """Where a payload has no class it stays a schema of zod."""
    contract = Contract.from_json_schema(document(SCHEMAS[name]["schema"]))
    source = write_module(contract)
    expected, payload = contract["1.0.0"].accepted, contract_of(source)["1.0.0"].accepted

    assert payload.type is not None or name in NO_CLASSES
    different = [
        value
        for value in VALUES
        if isinstance(expected.read(value), Issues) is not isinstance(payload.read(value), Issues)
    ]
    # JavaScript counts the code units of a text, and integers of Python's classes have 64 bits.
    assert all(value["v"] == 1e21 or value["v"] > "\U0001f000" for value in different)


def test_a_text_of_the_document_is_never_code() -> None:
    """It comes from outside, and the module is run."""
    text = '"""\nraise SystemExit\n"""'
    schema = {
        "title": "It",
        "type": "object",
        "description": text,
        "properties": {text: {"type": "string", "pattern": "a\"'\n"}},
        "required": [text],
    }
    hostile = Contract(
        uri="#/a",
        type="com.a.b",
        description=text,
        metadata={text: text},
        versions={
            "1.0.0": Version(
                accepts=schema,
                emits={
                    "evt.a.b": {**schema, "title": text},
                    "evt.c.d": {**schema, "description": ""},
                },
            )
        },
    )

    assert contract_of(write_module(hostile)).json_schema() == hostile.json_schema()


def test_the_command_prints_the_module(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its output is a file of the project."""
    path = tmp_path / "contract.json"
    path.write_text(json.dumps(orders.json_schema()))

    assert main(["import", str(path)]) == 0
    assert contract_of(capsys.readouterr().out).json_schema() == orders.json_schema()


def test_the_command_names_what_is_wrong_with_a_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, with the path of the field."""
    path = tmp_path / "contract.json"
    path.write_text('{"uri": 3}')

    assert main(["import", str(path)]) == 2
    assert "contract.uri: expected a string, got 3" in capsys.readouterr().err


def test_any_number_of_keys_has_fields() -> None:
    """Also where their names in Python are the same, as those of other alphabets and of signs."""
    keys = ["!" * number for number in range(1, 1_201)]
    schema = {
        "title": "Signs",
        "type": "object",
        "properties": {key: {"type": "string"} for key in keys},
        "required": keys,
    }
    contract = Contract(
        uri="#/signs", type="com.signs", versions={"1.0.0": Version(accepts=schema, emits={})}
    )

    assert "    field_1200: Annotated[" in write_module(contract)


def test_all_contracts_of_a_system_are_imported(capsys: pytest.CaptureFixture[str]) -> None:
    """`arvo export --json-schema` prints one a line; their names do not clash."""
    assert main(["export", "tests.shop:shop", "--json-schema"]) == 0
    exported = capsys.readouterr().out
    lines = exported.splitlines()
    again = json.loads(lines[0]) | {"uri": "#/another"}
    contracts = [Contract.from_json_schema(line) for line in (*lines, json.dumps(again))]

    values: dict[str, Any] = {}
    exec(write_module(*contracts), values)  # noqa: S102

    made = [value for value in values.values() if isinstance(value, Contract)]
    assert [it.json_schema() for it in made] == [it.json_schema() for it in contracts]
    assert len(lines) == 3


def test_each_form_of_several_contracts_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list, or one a line; an error names the file and the place."""
    file = tmp_path / "contracts.json"
    one, other = (json.dumps(document({"type": "object"}) | {"uri": it}) for it in ("#/a", "#/b"))

    def imported(text: str) -> tuple[str, str]:
        file.write_text(text)
        main(["import", str(file)])
        read = capsys.readouterr()
        return read.out, read.err

    lines, listed = imported(f"{one}\n{other}\n"), imported(f"[{one}, {other}]")
    assert lines == listed
    assert '"#/b"' in lines[0]
    for text, place in [
        (f"{one}\n{{", "line 2, column 2"),
        ('{"uri":\n  5,\n}', "line 2, column 4"),
        ("[]", "at least one contract"),
        (f"{one}\n5", f"contract 2 of {file}"),
    ]:
        output, error = imported(text)
        assert not output
        assert str(file) in error
        assert place in error
