"""Zod: the JSON Schema by which data is checked as zod itself checks it.

Exporters of zod lose what JSON Schema has no word for. `z.object` drops unknown keys, and is
exported as an object that refuses them. Its formats differ from those of JSON Schema: a time has
no offset, and a datetime may lack seconds. Zod 4 also exports the pattern of a format, by
which it checks; zod 3 exports the name alone.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from arvo.core.violations.arguments import check_argument

_DATE: Final = (
    r"((\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29"
    r"|\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)"
    r"|(02)-(0[1-9]|1\d|2[0-8])))"
)
_TIME: Final = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
_HEX: Final = "[0-9a-fA-F]"
_GROUP: Final = "[0-9a-fA-F]{1,4}"
_ZONE: Final = "|fe80:(:[0-9a-fA-F]{0,4}){0,4}%[0-9a-zA-Z]{1,}"
# Its header is JSON.
_JWT: Final = r"^ey[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$"
_BYTE: Final = "(25[0-5]|(2[0-4]|1{0,1}[0-9]){0,1}[0-9])"
_OCTET: Final = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])"
_PART: Final = r"[-+]?\d+"

# By the format of JSON Schema, what zod 3 checks. Where its options decide and are not exported
# (a datetime with or without offsets), the widest; of a URL, what `new URL` of a browser takes.
_PATTERNS: Final = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": rf"^{_DATE}T{_TIME}(Z|([+-]\d{{2}}:?\d{{2}}))$",
    "duration": (
        rf"^[-+]?P(?!$)({_PART}Y|{_PART}[.,]\d+Y$)?({_PART}M|{_PART}[.,]\d+M$)?"
        rf"({_PART}W|{_PART}[.,]\d+W$)?({_PART}D|{_PART}[.,]\d+D$)?"
        rf"(T(?=[\d+-])({_PART}H|{_PART}[.,]\d+H$)?({_PART}M|{_PART}[.,]\d+M$)?"
        rf"({_PART}([.,]\d+)?S)?)?$"
    ),
    "email": (
        r"^(?!\.)(?!.*\.\.)[A-Za-z0-9_'+\-\.]*[A-Za-z0-9_+-]"
        r"@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$"
    ),
    "uuid": f"^{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}$",
    "ipv4": rf"^({_OCTET}\.){{3}}{_OCTET}$",
    "ipv6": (
        f"^(({_GROUP}:){{7}}{_GROUP}|({_GROUP}:){{1,7}}:|({_GROUP}:){{1,6}}:{_GROUP}"
        f"|({_GROUP}:){{1,5}}(:{_GROUP}){{1,2}}|({_GROUP}:){{1,4}}(:{_GROUP}){{1,3}}"
        f"|({_GROUP}:){{1,3}}(:{_GROUP}){{1,4}}|({_GROUP}:){{1,2}}(:{_GROUP}){{1,5}}"
        f"|{_GROUP}:((:{_GROUP}){{1,6}})|:((:{_GROUP}){{1,7}}|:)"
        f"{_ZONE}"
        rf"|::(ffff(:0{{1,4}}){{0,1}}:){{0,1}}({_BYTE}\.){{3}}{_BYTE}"
        rf"|({_GROUP}:){{1,4}}:({_BYTE}\.){{3}}{_BYTE})$"
    ),
    "uri": (
        r"^[\x00-\x20]*(([hH][tT][tT][pP][sS]?|[wW][sS][sS]?|[fF][tT][pP]):[\\/]*"
        r"([^\\/?#]*@)?(\[[0-9a-fA-F:.]+\]|[^\x00-\x20\\/?#:@<>\[\]^|%\x7f]+)"
        r"(:(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])?)?([\\/?#].*|[\x00-\x20]*)$"
        r"|(?!([hH][tT][tT][pP][sS]?|[wW][sS][sS]?|[fF][tT][pP]):)[A-Za-z][A-Za-z0-9+.\-]*:)"
    ),
    "jwt": _JWT,
}
# Zod 4 exports the pattern of IPv6, and reads the address of a URL.
_WIDER: Final = {"ipv6": _PATTERNS["ipv6"].replace(_ZONE, "")}
# Patterns that zod 3 exports without their flag, or without the rest of its check.
_KNOWN: Final = {
    r"^[A-Za-z0-9-_]+\.[A-Za-z0-9-_]+\.[A-Za-z0-9-_]*$": _JWT,
    "^[0-9A-HJKMNP-TV-Z]{26}$": "^[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}$",
}
_CIDR_V4: Final = (
    r"^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])\.){3}"
    r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9][0-9]|[0-9])\/(3[0-2]|[12]?[0-9])$"
)
_ENCODINGS: Final = {"base64": r"^([0-9a-zA-Z+/]{4})*(([0-9a-zA-Z+/]{2}==)|([0-9a-zA-Z+/]{3}=))?$"}
_CLOSING: Final = ("additionalProperties", "unevaluatedProperties")
# The keywords that hold schemas by name, and those whose value is none, nor holds any.
_BY_NAME: Final = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_VALUES: Final = frozenset({"const", "enum", "default", "examples", "not"})


class ZodSchema(dict[str, Any]):
    """A JSON Schema that was exported from zod, to be checked as zod checks.

    *strips*: whether unknown keys are dropped where the schema refuses them, as `z.object` does.
    The schema stays as it was exported; `checked` is the one that data is checked by. Raises
    `Violated` for a schema that is no mapping.
    """

    def __init__(self, schema: Mapping[str, Any], *, strips: bool = True) -> None:
        check_argument("schema", schema, Mapping, "a JSON Schema, as a dict", of="ZodSchema")
        check_argument("strips", strips, bool, "True or False", of="ZodSchema")
        super().__init__(schema)
        self.strips = strips

    def __reduce__(self) -> tuple[Any, tuple[dict[str, Any]]]:
        return partial(ZodSchema, strips=self.strips), (dict(self),)

    @property
    def is_zod_4(self) -> bool:
        """Whether zod 4 exported it: with the pattern of each format, which alone decides."""
        return "2020-12" in str(self.get("$schema", ""))

    @property
    def checked(self) -> dict[str, Any]:
        """The schema that accepts the same values as zod."""
        made: dict[str, Any] = _convert(dict(self), self.strips, self.is_zod_4)
        return made


def _convert(schema: Any, strips: bool, has_patterns: bool) -> Any:
    if isinstance(schema, list):
        return [_convert(item, strips, has_patterns) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for key, item in schema.items():
        if key in _BY_NAME and isinstance(item, dict):
            made[key] = {name: _convert(it, strips, has_patterns) for name, it in item.items()}
        else:
            made[key] = item if key in _VALUES else _convert(item, strips, has_patterns)
    if strips and "properties" in schema:
        made = {key: it for key, it in made.items() if key not in _CLOSING or it is not False}
    if isinstance(made.get("format"), str):
        _check_format(made, has_patterns)
    encoding = made.get("contentEncoding")
    if encoding in _ENCODINGS:
        made.setdefault("pattern", _ENCODINGS[encoding])
    if made.get("pattern") in _KNOWN:
        made["pattern"] = _KNOWN[made["pattern"]]
    if isinstance(made.get("allOf"), list) and made["allOf"][:1] == [{"pattern": _CIDR_V4}]:
        made["anyOf"] = made.pop("allOf")  # either version, which zod's exporter joins by "and"
    return made


def _check_format(schema: dict[str, Any], has_patterns: bool) -> None:
    """Replace the format of a string by zod's pattern of it."""
    pattern = _PATTERNS.get(schema["format"])
    if pattern is None and not has_patterns:
        return
    name = schema.pop("format")
    if has_patterns and "pattern" in schema:
        schema["pattern"] = _WIDER.get(name, schema["pattern"])
        return
    if pattern is None:
        return
    if schema.setdefault("pattern", pattern) != pattern:
        schema["allOf"] = [*schema.get("allOf", ()), {"pattern": pattern}]
