"""Laws of the module that is written of a contract."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from arvo import Contract, Version
from arvo.cli.generate.module import write_module
from property_tests.test_payloads import payloads


def contract_of(source: str) -> Contract[Any]:
    """Run a module, and return its contract."""
    names: dict[str, Any] = {"__name__": "written"}
    exec(source, names)  # noqa: S102  # what this law is about
    [found] = [value for value in names.values() if isinstance(value, Contract)]
    return found


@settings(max_examples=50)
@given(payloads(), payloads(), st.text(max_size=8))
def test_an_import_after_an_export_is_the_identity(
    accepted: tuple[type, Any], emitted: tuple[type, Any], description: str
) -> None:
    """A contract loses nothing on its way to another service in Python, and back."""
    contract: Contract[Any] = Contract(
        uri="#/contracts/any",
        type="com.any.thing",
        description=description.encode(errors="replace").decode(),
        versions={
            "1.0.0": Version(accepts=accepted[0], emits={"evt.any.thing": emitted[0]}),
            "2.0.0": Version(accepts=emitted[0], emits={}),
        },
    )
    exported = contract.json_schema()

    written = contract_of(write_module(Contract.from_json_schema(json.dumps(exported))))

    assert written.json_schema() == exported


# What a generator of source may break on: quotes, escapes, invisible characters, names of Python
# and letters that Python reads as others.
FRAGMENTS = [
    "'",
    '"',
    '"""',
    "\\",
    "\\N{",
    "\n",
    "\r",
    "\x00",
    "\u202e",
    "{",
    "#",
    "ﬁ",
    "µ",
    "_",
    "__",
]
NAMES = ["class", "None", "str", "date", "self", "__init__", "fi", "Contract", "thing_contract"]
TEXTS = st.one_of(
    st.lists(st.sampled_from([*FRAGMENTS, "a", "1", " "]), max_size=6).map("".join),
    st.sampled_from(NAMES),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
FIELDS = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "default": 3},
        {"type": "string", "format": "date"},
        {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "default": None},
        {"type": "array", "items": {"type": "boolean"}, "default": []},
    ]
)


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the schema of an object whose title, keys, descriptions and defaults are any text."""
    fields: dict[str, Any] = draw(st.dictionaries(TEXTS, FIELDS, max_size=4))
    text = draw(TEXTS)
    fields["note"] = {"type": "string", "description": text, "default": text}
    required = [key for key, field in fields.items() if "default" not in field]
    schema = {"title": draw(TEXTS), "type": "object", "properties": fields, "description": text}
    return schema | ({"required": required} if required else {})


@settings(max_examples=100)
@given(objects(), objects(), st.sampled_from(["thing", "2fa", "class"]))
def test_any_text_in_a_document_makes_a_module_of_the_same_contract(
    accepted: dict[str, Any], emitted: dict[str, Any], word: str
) -> None:
    """No text of another program ends a string, hides a name, or is invisible in the source."""
    contract: Contract[Any] = Contract(
        uri="#/contracts/any",
        type=f"com.any.{word}",
        versions={"1.0.0": Version(accepts=accepted, emits={"evt.any.thing": emitted})},
    )
    exported = contract.json_schema()

    source = write_module(Contract.from_json_schema(json.dumps(exported)))

    assert source.replace("\n", "").isprintable()
    assert contract_of(source).json_schema() == exported
