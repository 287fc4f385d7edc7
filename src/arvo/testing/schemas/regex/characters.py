"""Characters: Hypothesis strategies for the sets of characters of a regular expression."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, TypeAlias

from re import _constants as codes  # type: ignore[attr-defined]  # isort: skip

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Ranges: TypeAlias = tuple[tuple[int, int], ...]

# Lone surrogates are not valid Unicode text and cannot be encoded as UTF-8.
CHARACTERS: Final = st.characters(codec="utf-8")
# The characters that `.` matches in ECMA 262.
ANY: Final = st.characters(codec="utf-8", exclude_characters="\n\r\u2028\u2029")

_LAST: Final = 0x10FFFF
_DIGITS: Final = ((48, 57),)
_WORD: Final = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Final = ((9, 13), (32, 32))
_SURROGATES: Final = ((0xD800, 0xDFFF),)


def alphabet_of(code: Any, argument: Any, *, ignores_case: bool) -> SearchStrategy[str]:
    """Draw the characters that a node of a regular expression for one character matches."""
    items = tuple(argument) if code is codes.IN else ((code, argument),)
    return _alphabet_of_items(items, ignores_case)


# Some sets have thousands of characters.
@lru_cache(maxsize=512)
def _alphabet_of_items(items: Any, ignores_case: bool) -> SearchStrategy[str]:
    ranges = _ranges_of(items)
    if ignores_case:
        ranges = _merge((*ranges, *_other_case(ranges)))
    return _alphabet(ranges)


def _ranges_of(items: Any) -> Ranges:
    is_negated = items[0][0] in (codes.NEGATE, codes.NOT_LITERAL)
    ranges: list[tuple[int, int]] = []
    for code, argument in items:
        if code in (codes.LITERAL, codes.NOT_LITERAL):
            ranges.append((argument, argument))
        elif code is codes.RANGE:
            ranges.append(argument)
        elif code is codes.CATEGORY:
            ranges += _CATEGORIES[argument]
    merged = _merge(ranges)
    return _complement(merged) if is_negated else merged


def _alphabet(ranges: Ranges) -> SearchStrategy[str]:
    inside = _merge(ranges)
    outside = _complement((*inside, *_SURROGATES))
    inside = _complement((*outside, *_SURROGATES))
    if not inside:
        return st.nothing()
    if _size(inside) <= _size(outside):
        return st.characters(categories=(), include_characters=_text(inside))
    return st.characters(codec="utf-8", exclude_characters=_text(outside))


def _text(ranges: Ranges) -> str:
    return "".join(chr(number) for first, last in ranges for number in range(first, last + 1))


def _size(ranges: Ranges) -> int:
    return sum(last - first + 1 for first, last in ranges)


def _merge(ranges: Iterable[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _complement(ranges: Iterable[tuple[int, int]]) -> Ranges:
    return tuple(_gaps(_merge(ranges)))


def _gaps(ranges: Ranges) -> Iterator[tuple[int, int]]:
    position = 0
    for first, last in ranges:
        if position < first:
            yield position, first - 1
        position = last + 1
    if position <= _LAST:
        yield position, _LAST


def _other_case(ranges: Ranges) -> Iterator[tuple[int, int]]:
    for first, last in ranges:
        for number in range(first, min(last, 0x24F) + 1):
            swapped = chr(number).swapcase()
            if len(swapped) == 1:
                yield ord(swapped), ord(swapped)


_CATEGORIES: Final[dict[Any, Ranges]] = {
    codes.CATEGORY_DIGIT: _DIGITS,
    codes.CATEGORY_NOT_DIGIT: _complement(_DIGITS),
    codes.CATEGORY_WORD: _WORD,
    codes.CATEGORY_NOT_WORD: _complement(_WORD),
    codes.CATEGORY_SPACE: _SPACE,
    codes.CATEGORY_NOT_SPACE: _complement(_SPACE),
}
