"""Patterns: a Hypothesis strategy for strings that match a regular expression and have a length.

Not `st.from_regex`, which does not know lengths: almost none of its strings has a given one.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import ceil
from typing import Any, Final

# The parser of `re` has no public name. Hypothesis reads its trees, too.
from re import _constants as codes, _parser as parser  # type: ignore[attr-defined]  # isort: skip

from attrs import define, field
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from arvo.testing.schemas.regex.characters import ANY, alphabet_of
from arvo.testing.schemas.regex.texts import texts

# Longer repetitions test nothing more, and they shrink more slowly.
REPEATS_MAX: Final = 8
# Characters before and after the match, where the pattern leaves them open.
PADDING_MAX: Final = 4
# Greater than every length: `re` has no smaller upper bound for `*`.
_ENDLESS: Final = 2**32

_SINGLE: Final = (codes.LITERAL, codes.NOT_LITERAL, codes.IN, codes.ANY)
_REPEATS: Final = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
_STARTS: Final = (codes.AT_BEGINNING, codes.AT_BEGINNING_STRING)
_ENDS: Final = (codes.AT_END, codes.AT_END_STRING)


def matches(pattern: "re.Pattern[str]", least: int, most: int) -> SearchStrategy[str]:
    """Draw strings of *least* to *most* characters in which *pattern* matches somewhere."""

    # Without parameters: Hypothesis writes out those of a strategy whenever a draw fails, and a
    # pattern with a class such as `\p{L}` is long.
    @st.composite
    def drawn(draw: DrawFn) -> str:
        return _draw_match(draw, pattern, least, most)

    return drawn()


def literals_of(pattern: "re.Pattern[str]") -> SearchStrategy[list[str | None]]:
    """Draw the characters that *pattern* fixes in a shortest match; None for each other one."""

    @st.composite
    def drawn(draw: DrawFn) -> list[str | None]:
        tree = _parse(pattern)
        low, _ = _width(tree)
        match = _Match(draw, is_of_literals=True)
        match.add(tree, low, low)
        return match.characters

    return drawn()


def _draw_match(draw: DrawFn, pattern: "re.Pattern[str]", least: int, most: int) -> str:
    tree = _parse(pattern)
    low, high = _width(tree)
    before = after = 0
    if not _is_anchored(tree, 0, _STARTS):
        before = draw(st.integers(0, max(0, min(PADDING_MAX, most - low))) | st.just(0))
    missing = max(0, least - before - high)
    if not _is_anchored(tree, -1, _ENDS):
        room = max(missing, min(PADDING_MAX + missing, most - low - before))
        after = draw(st.just(missing) | st.integers(missing, room))
    elif missing and not _is_anchored(tree, 0, _STARTS):
        before += missing
    match = _Match(draw)
    match.add(tree, max(0, least - before - after), most - before - after)
    text = match.text()
    padding = [draw(texts(ANY, size, size)) for size in (before, after)]
    text = f"{padding[0]}{text}{padding[1]}"
    return text if least <= len(text) <= most and pattern.search(text) else reject()


@lru_cache(maxsize=512)
def _parse(pattern: "re.Pattern[str]") -> Any:
    return parser.parse(pattern.pattern, pattern.flags)


@define
class _Match:
    """The characters drawn so far; None where any character will do."""

    draw: DrawFn
    # None also where a set of characters will do.
    is_of_literals: bool = False
    characters: list[str | None] = field(factory=list)
    groups: dict[int, tuple[int, int]] = field(factory=dict)
    # The assertions, where they begin, and whether they look back.
    assertions: list[tuple[int, Any, bool]] = field(factory=list)
    flags: int = 0

    def text(self) -> str:
        """Apply the assertions, and draw a character for each that is still open."""
        for position, tree, looks_back in self.assertions:
            self._overlay(position, tree, looks_back=looks_back)
        missing = self.characters.count(None)
        rest = iter(self.draw(texts(ANY, missing, missing)) if missing else "")
        return "".join(next(rest) if item is None else item for item in self.characters)

    def add(self, tree: Any, least: int, most: int) -> None:
        """Add a match of a sequence of nodes with *least* to *most* characters."""
        start = len(self.characters)
        rest = list(_rests(tree))
        for (code, argument), (rest_low, rest_high) in zip(tree, rest, strict=True):
            used = len(self.characters) - start
            if code is codes.ASSERT and argument[0] > 0:
                # What an assertion requires of the length, holds for the rest of the sequence.
                low, high = _width(argument[1])
                least = max(least, min(used + low, most))
                most = min(most, used + high) if _is_anchored(argument[1], -1, _ENDS) else most
            low, high = _width_of(code, argument)
            low = max(low, least - used - rest_high)
            high = min(high, most - used - rest_low)
            if low > high:
                reject()
            self._add_node(code, argument, low, high)

    def _add_node(self, code: Any, argument: Any, least: int, most: int) -> None:
        if code in _SINGLE:
            self._add_characters(code, argument, 1, 1)
        elif code in _REPEATS:
            self._add_repeat(argument, least, most)
        elif code is codes.SUBPATTERN:
            self._add_group(argument, least, most)
        elif code is codes.BRANCH:
            self._add_branch(argument[1], least, most)
        elif code is codes.ATOMIC_GROUP:
            self.add(argument, least, most)
        elif code is codes.GROUPREF:
            first, last = self.groups.get(argument, (0, 0))
            self.characters += self.characters[first:last]
        elif code is codes.GROUPREF_EXISTS:
            group, yes, no = argument
            self.add(yes if group in self.groups else no or (), least, most)
        elif code is codes.ASSERT:
            self.assertions.append((len(self.characters), argument[1], argument[0] < 0))

    def _add_characters(self, code: Any, argument: Any, least: int, most: int) -> None:
        if code is codes.ANY or (self.is_of_literals and code is not codes.LITERAL):
            size = least if least == most else self.draw(st.integers(least, most))
            self.characters += [None] * size
        else:
            alphabet = alphabet_of(code, argument, ignores_case=bool(self.flags & re.IGNORECASE))
            self.characters += self.draw(texts(alphabet, least, most))

    def _add_repeat(self, argument: Any, least: int, most: int) -> None:
        minimum, maximum, body = argument
        low, high = _width(body)
        first = max(minimum, ceil(least / high) if high else 0)
        last = min(maximum, first + REPEATS_MAX, most // low if low else _ENDLESS)
        if first > last:
            reject()
        if len(body) == 1 and body[0][0] in _SINGLE:
            code, inner = body[0]
            self._add_characters(code, inner, first, last)
            return
        count = self.draw(st.integers(first, last))
        start = len(self.characters)
        for remaining in range(count - 1, -1, -1):
            used = len(self.characters) - start
            self.add(body, max(low, least - used - remaining * high), most - used - remaining * low)

    def _add_group(self, argument: Any, least: int, most: int) -> None:
        group, added, removed, body = argument
        start, flags = len(self.characters), self.flags
        self.flags = (flags | added) & ~removed
        self.add(body, least, most)
        self.flags = flags
        if group is not None:
            self.groups[group] = (start, len(self.characters))

    def _add_branch(self, branches: Sequence[Any], least: int, most: int) -> None:
        possible = [branch for branch in branches if _fits(branch, least, most)]
        if not possible:
            reject()
        self.add(possible[self.draw(st.integers(0, len(possible) - 1))], least, most)

    def _overlay(self, position: int, tree: Any, *, looks_back: bool) -> None:
        """Write a match of an assertion over the characters to which it refers."""
        inner = _Match(self.draw)
        size = position if looks_back else len(self.characters) - position
        low, _ = _width(tree)
        inner.add(tree, 0, max(size, low))
        if looks_back:
            position -= len(inner.characters)
            # The match may begin with the pattern: then the assertion is about what is before it.
            self.characters[:0] = [None] * max(0, -position)
            position = max(0, position)
        for offset, character in enumerate(inner.characters):
            if character is not None and position + offset < len(self.characters):
                self.characters[position + offset] = character


def _fits(tree: Any, least: int, most: int) -> bool:
    low, high = _width(tree)
    return low <= most and high >= least


def _rests(tree: Any) -> Iterator[tuple[int, int]]:
    """Yield for each node the width of those behind it."""
    widths = [_width_of(*node) for node in tree]
    for position in range(len(widths)):
        behind = widths[position + 1 :]
        yield sum(low for low, _ in behind), min(_ENDLESS, sum(high for _, high in behind))


def _width(tree: Any) -> tuple[int, int]:
    """Return the least and the greatest number of characters of a match."""
    widths = [_width_of(*node) for node in tree]
    return sum(low for low, _ in widths), min(_ENDLESS, sum(high for _, high in widths))


def _width_of(code: Any, argument: Any) -> tuple[int, int]:
    if code in _SINGLE:
        return 1, 1
    if code in _REPEATS:
        low, high = _width(argument[2])
        return argument[0] * low, min(_ENDLESS, int(argument[1]) * high)
    if code is codes.SUBPATTERN:
        return _width(argument[3])
    if code is codes.ATOMIC_GROUP:
        return _width(argument)
    if code is codes.GROUPREF:
        return 0, _ENDLESS
    if code in (codes.BRANCH, codes.GROUPREF_EXISTS):
        options = argument[1] if code is codes.BRANCH else (argument[1], argument[2] or ())
        widths = [_width(option) for option in options]
        return min(low for low, _ in widths), max(high for _, high in widths)
    return 0, 0


def _is_anchored(tree: Any, position: int, anchors: tuple[Any, ...]) -> bool:
    """Return True if the first or last node, by *position*, is one of *anchors* in any case."""
    if not len(tree):
        return False
    code, argument = tree[position]
    if code is codes.AT:
        return argument in anchors
    if code is codes.SUBPATTERN:
        return _is_anchored(argument[3], position, anchors)
    if code is codes.BRANCH:
        return all(_is_anchored(branch, position, anchors) for branch in argument[1])
    return False
