"""Hard schemas: JSON Schemas of which a random value almost never fits, as data.

Each is the schema of the property `it`, unless it has a `$schema` or a keyword of objects at its
root: then it is the schema of the whole payload.
"""

from typing import Any, Final

DRAFT_4: Final = "http://json-schema.org/draft-04/schema#"
DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"

STRINGS: Final[dict[str, dict[str, Any]]] = {
    "40 hex digits": {"type": "string", "pattern": "^[0-9a-f]{40}$"},
    "64 hex digits and a length": {
        "type": "string",
        "pattern": "^[0-9a-fA-F]+$",
        "minLength": 64,
        "maxLength": 64,
    },
    "a pattern with a least length": {"type": "string", "pattern": "^[a-z]+$", "minLength": 30},
    "a pattern with two lengths": {
        "type": "string",
        "pattern": "^[A-Z][a-z]*( [A-Z][a-z]*)*$",
        "minLength": 12,
        "maxLength": 14,
    },
    "an open pattern with a length": {"type": "string", "pattern": "a", "minLength": 20},
    "a password": {
        "type": "string",
        "pattern": r"^(?=.*[A-Z])(?=.*[a-z])(?=.*\d)(?=.*[^\w\s]).*$",
        "minLength": 12,
        "maxLength": 16,
    },
    "no two hyphens in a row": {"type": "string", "pattern": "^(?!.*--)[a-z-]{8,12}$"},
    "a length in a lookahead": {
        "type": "string",
        "pattern": r"^(?=.{12,20}$)[a-z]+(\.[a-z]+)*$",
    },
    "a lookbehind": {"type": "string", "pattern": "(?<=order )[0-9]{4}$"},
    "letters of any script": {"type": "string", "pattern": r"^\p{L}+$", "minLength": 2},
    "a capital and no letter": {"type": "string", "pattern": r"^\p{Lu}\P{L}{2,4}$"},
    "letters in a set": {"type": "string", "pattern": r"^[\p{L}\p{Nd}_-]{3,8}$"},
    "nothing of a category": {"type": "string", "pattern": r"^[^\p{L}\s]{4}$"},
    "letters of one script": {"type": "string", "pattern": r"^\p{Script=Greek}{2,4}$"},
    "a named group": {"type": "string", "pattern": r"^(?<year>\d{4})-(?<month>\d{2})$"},
    "a back reference": {"type": "string", "pattern": r"^([a-z]{3})-\1$"},
    "a code point": {"type": "string", "pattern": r"^\u{1F600}[\u{1F601}-\u{1F60F}]{3}$"},
    "5,000 digits": {"type": "string", "pattern": "^[0-9]+$", "minLength": 5000},
    "5,000 characters": {"type": "string", "minLength": 5000, "maxLength": 5000},
    "a format with a length": {"type": "string", "format": "email", "minLength": 12},
    "a format with a pattern": {"type": "string", "format": "date", "pattern": "^20"},
    "a format with a character in the middle": {
        "type": "string",
        "format": "uuid",
        "pattern": "^[0-9a-f-]{14}4",
    },
    "a time in UTC": {"type": "string", "format": "date-time", "pattern": "Z$"},
    "two patterns": {
        "type": "string",
        "allOf": [{"pattern": "^[A-Z]{3}-"}, {"pattern": "-[0-9]{3}$"}],
    },
    "a pattern and not another": {
        "type": "string",
        "pattern": "^[a-c]{6}$",
        "not": {"pattern": "^a"},
    },
}

NUMBERS: Final[dict[str, dict[str, Any]]] = {
    "a multiple of 0.01": {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 100},
    "an integer multiple of 1.5": {"type": "integer", "multipleOf": 1.5},
    "two multiples": {"allOf": [{"type": "integer", "multipleOf": 6}, {"multipleOf": 10}]},
    "one of two ranges": {
        "type": "integer",
        "oneOf": [{"minimum": 1000, "maximum": 1010}, {"minimum": -5, "maximum": -1}],
    },
    "outside of a range": {"type": "integer", "not": {"minimum": -(10**12), "maximum": 10**12}},
    "draft 4 bounds": {
        "$schema": DRAFT_4,
        "type": "object",
        "properties": {
            "it": {
                "type": "integer",
                "minimum": 7,
                "exclusiveMinimum": True,
                "maximum": 99,
                "exclusiveMaximum": True,
            }
        },
        "required": ["it"],
    },
}

_KIND: Final = {"enum": ["card", "bank", "cash"]}

ARRAYS: Final[dict[str, dict[str, Any]]] = {
    "a tuple": {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": False,
        "minItems": 2,
    },
    "a short prefix": {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}, {"type": "boolean"}],
        "maxItems": 2,
    },
    "a prefix that goes on": {
        "type": "array",
        "prefixItems": [{"const": "head"}],
        "items": {"type": "integer"},
        "minItems": 6,
    },
    "a tuple of draft 7": {
        "$schema": DRAFT_7,
        "type": "object",
        "properties": {
            "it": {
                "type": "array",
                "items": [{"type": "string", "pattern": "^[A-Z]{3}$"}, {"type": "number"}],
                "additionalItems": {"type": "boolean"},
                "minItems": 3,
            }
        },
        "required": ["it"],
    },
    "a closed tuple of draft 7": {
        "$schema": DRAFT_7,
        "type": "object",
        "properties": {
            "it": {"type": "array", "items": [{"type": "string"}], "additionalItems": False}
        },
        "required": ["it"],
    },
    "contains one": {
        "type": "array",
        "items": {"type": "integer"},
        "contains": {"const": 424242},
    },
    "contains two or three": {
        "type": "array",
        "items": {"type": "string", "maxLength": 3},
        "contains": {"pattern": "^x", "type": "string"},
        "minContains": 2,
        "maxContains": 3,
    },
    "contains none": {
        "type": "array",
        "items": {"enum": [1, 2, 3]},
        "contains": {"const": 2},
        "minContains": 0,
        "maxContains": 0,
        "minItems": 3,
    },
    "contains two kinds": {
        "type": "array",
        "allOf": [{"contains": {"const": "a"}}, {"contains": {"const": "b"}}],
        "items": {"type": "string"},
    },
    "unique values of few": {
        "type": "array",
        "items": {"enum": ["a", "b", "c", "d"]},
        "uniqueItems": True,
        "minItems": 4,
    },
    "unique booleans and null": {
        "type": "array",
        "items": {"type": ["boolean", "null"]},
        "uniqueItems": True,
        "minItems": 3,
    },
    "unique objects with a member": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"id": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["id"],
            "additionalProperties": False,
        },
        "contains": {"properties": {"id": {"const": 7}}},
        "uniqueItems": True,
        "minItems": 5,
    },
}

OBJECTS: Final[dict[str, dict[str, Any]]] = {
    "at least three keys": {"type": "object", "minProperties": 3},
    "one of three keys": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {}},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    },
    "all of many optional keys": {
        "type": "object",
        "properties": {f"key{number}": {"type": "boolean"} for number in range(12)},
        "additionalProperties": False,
        "minProperties": 11,
    },
    "names with a pattern": {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Z]{2}-[0-9]{4}$"},
        "additionalProperties": {"type": "integer"},
        "minProperties": 2,
    },
    "names of few": {
        "type": "object",
        "propertyNames": {"enum": ["red", "green", "blue"]},
        "additionalProperties": {"type": "integer"},
        "minProperties": 3,
    },
    "pattern properties": {
        "type": "object",
        "patternProperties": {"^x-[a-z]{3,5}$": {"type": "string"}, "[a-z]$": {"minLength": 2}},
        "additionalProperties": False,
        "minProperties": 2,
    },
    "a required key of a pattern": {
        "type": "object",
        "patternProperties": {"^n": {"type": "integer", "minimum": 10**6}},
        "required": ["number", "other"],
        "additionalProperties": {"const": "x"},
    },
    "dependent keys": {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in "abcd"},
        "dependentRequired": {"a": ["b"], "b": ["c"], "c": ["d"], "d": ["a"]},
        "minProperties": 1,
    },
    "dependent schemas": {
        "type": "object",
        "properties": {"card": {"type": "string"}, "address": {"type": "string"}},
        "required": ["card"],
        "dependentSchemas": {
            "card": {"required": ["address"], "properties": {"address": {"minLength": 9}}}
        },
    },
    "dependencies of draft 7": {
        "$schema": DRAFT_7,
        "type": "object",
        "properties": {"it": {"type": "integer"}, "also": {"type": "integer"}, "more": {}},
        "dependencies": {"it": ["also"], "also": {"required": ["more"]}},
        "minProperties": 1,
    },
    "if, then, else": {
        "type": "object",
        "properties": {"kind": _KIND, "number": {"type": "string"}, "iban": {"type": "string"}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "card"}}},
        "then": {"required": ["number"], "properties": {"number": {"pattern": "^[0-9]{16}$"}}},
        "else": {"required": ["iban"], "properties": {"iban": {"pattern": "^DE[0-9]{20}$"}}},
    },
    "three conditions": {
        "type": "object",
        "properties": {"kind": _KIND},
        "required": ["kind"],
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"required": [kind], "properties": {kind: {"const": f"{kind}-data"}}},
            }
            for kind in _KIND["enum"]
        ],
    },
    "one of two shapes": {
        "type": "object",
        "oneOf": [
            {
                "properties": {"kind": {"const": kind}, "data": {"pattern": f"^{kind}[0-9]{{8}}$"}},
                "required": ["kind", "data"],
                "additionalProperties": False,
            }
            for kind in _KIND["enum"]
        ],
    },
    "exactly one key": {
        "type": "object",
        "properties": {name: {"type": "string", "minLength": 1} for name in "abc"},
        "oneOf": [{"required": [name]} for name in "abc"],
    },
    "not both keys": {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in "abcde"},
        "not": {"required": ["a", "b"]},
        "minProperties": 3,
    },
    "not of a value": {
        "type": "object",
        "properties": {"state": {"enum": ["open", "closed"]}, "at": {"type": "string"}},
        "required": ["state"],
        "not": {"properties": {"state": {"const": "closed"}}},
    },
    "merged and closed": {
        "type": "object",
        "allOf": [
            {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"type": "string", "pattern": "^b{9}$"}}, "required": ["b"]},
        ],
        "unevaluatedProperties": False,
    },
}

REFERENCES: Final[dict[str, dict[str, Any]]] = {
    "a reference by id": {
        "$id": "https://example.org/schemas/order",
        "type": "object",
        "properties": {"it": {"$ref": "sku"}, "also": {"$ref": "https://example.org/schemas/sku"}},
        "required": ["it", "also"],
        "$defs": {"any": {"$id": "sku", "type": "string", "pattern": "^[A-Z]{6}$"}},
    },
    "a reference by anchor": {
        "type": "object",
        "properties": {"it": {"$ref": "#sku"}},
        "required": ["it"],
        "$defs": {"any": {"$anchor": "sku", "type": "string", "pattern": "^[A-Z]{6}$"}},
    },
    "an anchor of draft 7": {
        "$schema": DRAFT_7,
        "type": "object",
        "properties": {"it": {"$ref": "#sku", "type": "null"}},
        "required": ["it"],
        "definitions": {"any": {"$id": "#sku", "type": "string", "pattern": "^[A-Z]{6}$"}},
    },
    "a reference inside an id": {
        "$id": "https://example.org/root",
        "type": "object",
        "properties": {"it": {"$ref": "inner#/$defs/code"}},
        "required": ["it"],
        "$defs": {
            "i": {
                "$id": "inner",
                "type": "object",
                "properties": {"code": {"$ref": "#/$defs/code"}},
                "$defs": {"code": {"type": "string", "pattern": "^i[0-9]{5}$"}},
            },
            "code": {"type": "integer"},
        },
    },
    "a URN": {
        "$id": "urn:example:root",
        "type": "object",
        "properties": {"it": {"$ref": "#/$defs/code"}},
        "required": ["it"],
        "$defs": {"code": {"type": "string", "pattern": "^u[0-9]{5}$"}},
    },
    "a reference with siblings": {
        "type": "object",
        "properties": {"it": {"$ref": "#/$defs/code", "minLength": 40}},
        "required": ["it"],
        "$defs": {"code": {"type": "string", "pattern": "^[a-z]+$"}},
    },
    "a dynamic reference": {
        "type": "object",
        "properties": {"it": {"$dynamicRef": "#node"}},
        "required": ["it"],
        "$defs": {"n": {"$dynamicAnchor": "node", "type": "string", "pattern": "^[a-z]{9}$"}},
    },
    "a tree": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z]{12}$"},
            "below": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
        },
        "required": ["name"],
    },
}

HARD: Final = {**STRINGS, **NUMBERS, **ARRAYS, **OBJECTS, **REFERENCES}


def payload_schema(name: str) -> dict[str, Any]:
    """Return the schema of a payload with the hard schema of this name."""
    schema = HARD[name]
    if name in OBJECTS or name in REFERENCES or "$schema" in schema:
        return schema
    return {"type": "object", "properties": {"it": schema}, "required": ["it"]}
