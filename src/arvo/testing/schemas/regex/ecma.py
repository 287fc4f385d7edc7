"""Ecma: translate the regular expressions of JSON Schema (ECMA 262) to those of Python.

Written for drawing, not for matching: the validator checks each string that is drawn.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from attrs import define

# No pattern of a contract is as long; the translation takes time for each character.
PATTERN_CHARACTERS_MAX: Final = 10_000

_BINARY_PROPERTIES: Final[dict[str, str]] = {
    "Alphabetic": "L",
    "Alpha": "L",
    "Any": "",
    "Lowercase": "Ll",
    "Uppercase": "Lu",
    "White_Space": "Z",
}
_CATEGORIES: Final[dict[str, str]] = {
    "Letter": "L",
    "Lowercase_Letter": "Ll",
    "Uppercase_Letter": "Lu",
    "Titlecase_Letter": "Lt",
    "Modifier_Letter": "Lm",
    "Other_Letter": "Lo",
    "Mark": "M",
    "Nonspacing_Mark": "Mn",
    "Spacing_Mark": "Mc",
    "Enclosing_Mark": "Me",
    "Number": "N",
    "Decimal_Number": "Nd",
    "digit": "Nd",
    "Letter_Number": "Nl",
    "Other_Number": "No",
    "Punctuation": "P",
    "punct": "P",
    "Connector_Punctuation": "Pc",
    "Dash_Punctuation": "Pd",
    "Open_Punctuation": "Ps",
    "Close_Punctuation": "Pe",
    "Initial_Punctuation": "Pi",
    "Final_Punctuation": "Pf",
    "Other_Punctuation": "Po",
    "Symbol": "S",
    "Math_Symbol": "Sm",
    "Currency_Symbol": "Sc",
    "Modifier_Symbol": "Sk",
    "Other_Symbol": "So",
    "Separator": "Z",
    "Space_Separator": "Zs",
    "Line_Separator": "Zl",
    "Paragraph_Separator": "Zp",
    "Control": "Cc",
    "Format": "Cf",
    "Private_Use": "Co",
}
_KNOWN: Final = (
    frozenset(_CATEGORIES.values()) | frozenset(_BINARY_PROPERTIES.values()) | {"Lu", "C", "Cn"}
)
_PROPERTY: Final = re.compile(r"\\([pP])(?:\{\^?([^{}]*)\}|([A-Z]))")
_CODE_POINT: Final = re.compile(r"\\u(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{4}))")
_GROUP: Final = re.compile(r"\(\?<([^=!>][^>]*)>")
_BACK_REFERENCE: Final = re.compile(r"\\k<([^>]+)>")
# In a set these begin operations that later versions of Python may have; it warns of them.
_SET_CHARACTERS: Final = frozenset("[&~|-")


class UntranslatablePattern(ValueError):
    """A regular expression that Python cannot express, and the reason."""


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> "re.Pattern[str]":
    """Compile the regular expression *pattern* of a JSON Schema.

    Named groups, `\\p{…}` of general categories and scripts, `\\u{…}`, and `$` at the end only are
    translated. `\\d` and `\\w` match ASCII characters. Raises `UntranslatablePattern`.

    >>> compile_pattern("^(?<year>\\\\p{Nd}{4})$").search("２０２６").group("year")
    '２０２６'
    """
    if len(pattern) > PATTERN_CHARACTERS_MAX:
        raise UntranslatablePattern(f"it has more than {PATTERN_CHARACTERS_MAX} characters")
    try:
        return re.compile(_Translation(pattern).run(), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise UntranslatablePattern(f"Python cannot compile it: {error}") from None


@define
class _Translation:
    """Translates one pattern from left to right."""

    pattern: str
    position: int = 0
    in_set: bool = False

    def run(self) -> str:
        return "".join(self._tokens())

    def _tokens(self) -> Iterator[str]:
        while self.position < len(self.pattern):
            yield self._escape() if self._peek() == "\\" else self._plain()

    def _peek(self, length: int = 1) -> str:
        return self.pattern[self.position : self.position + length]

    def _take(self, length: int) -> str:
        taken = self._peek(length)
        self.position += length
        return taken

    def _plain(self) -> str:
        if self.in_set:
            character = self._take(1)
            self.in_set = character != "]"
            is_range = character == "-" and self._peek() not in ("-", "]")
            return f"\\{character}" if character in _SET_CHARACTERS and not is_range else character
        if self._peek() == "[":
            return self._open_set()
        if self._peek() == "$":
            # Python's own also matches before a line feed at the end.
            self._take(1)
            return r"\Z"
        if match := _GROUP.match(self.pattern, self.position):
            self._take(len(match[0]))
            return f"(?P<{_group_name(match[1])}>"
        return self._take(1)

    def _open_set(self) -> str:
        for empty, translated in (("[^]", r"[\s\S]"), ("[]", r"(?!)")):
            if self._peek(len(empty)) == empty:
                self._take(len(empty))
                return translated
        self.in_set = True
        return self._take(2) if self._peek(2) == "[^" else self._take(1)

    def _escape(self) -> str:
        if match := _PROPERTY.match(self.pattern, self.position):
            self._take(len(match[0]))
            is_negated = (match[1] == "P") != match[0][2:].startswith("{^")
            return self._characters(match[2] or match[3], is_negated=is_negated)
        if match := _CODE_POINT.match(self.pattern, self.position):
            self._take(len(match[0]))
            return self._code_point(int(match[1] or match[2], 16))
        if match := _BACK_REFERENCE.match(self.pattern, self.position):
            self._take(len(match[0]))
            return f"(?P={_group_name(match[1])})"
        escape = self._take(2)
        escaped = escape[1:]
        if escaped == "c":
            return f"\\x{ord(self._take(1) or '@') % 32:02x}"
        if escaped == "0":
            return r"\x00"
        # Letters that mean something in Python only.
        return escaped if escaped in ("A", "Z", "z", "a", "U", "N", "e", "/") else escape

    def _code_point(self, number: int) -> str:
        if 0xD800 <= number < 0xDC00 and (low := _CODE_POINT.match(self.pattern, self.position)):
            second = int(low[1] or low[2], 16)
            if 0xDC00 <= second < 0xE000:
                self._take(len(low[0]))
                number = 0x10000 + ((number - 0xD800) << 10) + (second - 0xDC00)
        if number > 0x10FFFF:
            raise UntranslatablePattern(f"there is no character {number:#x}")
        return f"\\U{number:08x}"

    def _characters(self, name: str, *, is_negated: bool) -> str:
        members = _members(name)
        if self.in_set:
            return _complement(members) if is_negated else members
        return f"[^{members}]" if is_negated else f"[{members}]"


def _group_name(name: str) -> str:
    # ECMA 262 allows `$` in names, and Python does not.
    return name.replace("$", "_dollar_")


@lru_cache(maxsize=64)
def _members(name: str) -> str:
    """Return the characters of a Unicode property, in the syntax of a set."""
    key, _, value = name.partition("=")
    if key in ("General_Category", "gc") and value:
        return _of_category(_CATEGORIES.get(value, value), name)
    if key in ("Script", "sc", "Script_Extensions", "scx") and value:
        return _of_script(value)
    if key == "ASCII":
        return r"\x00-\x7f"
    return _of_category({**_CATEGORIES, **_BINARY_PROPERTIES}.get(name, name), name)


def _of_category(category: str, name: str) -> str:
    if len(category) > 2 or (category and category[0] not in "LMNPSZC"):
        # Some implementations take the name of a script alone.
        return _of_script(name)
    if category not in _KNOWN and len(category) == 1:
        raise UntranslatablePattern(f"there is no category {name!r}")
    return _ranges(
        number
        for number in range(0x110000)
        if unicodedata.category(chr(number)).startswith(category)
    )


def _of_script(script: str) -> str:
    # Python has no data about scripts; the names of most characters begin with it.
    prefix = "CJK UNIFIED IDEOGRAPH" if script in ("Han", "Hani") else script.upper()
    prefix = prefix.replace("_", " ") + ("-" if prefix.startswith("CJK") else " ")
    ranges = _ranges(
        number
        for number in range(0x30000)
        if unicodedata.name(chr(number), "").startswith(prefix)
        and unicodedata.category(chr(number))[0] in "LMN"
    )
    if not ranges:
        raise UntranslatablePattern(f"no characters of the property {script!r} are known")
    return ranges


def _ranges(numbers: Iterator[int]) -> str:
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


def _complement(members: str) -> str:
    outside = re.compile(f"[^{members}]")
    return _ranges(number for number in range(0x110000) if outside.match(chr(number)))
