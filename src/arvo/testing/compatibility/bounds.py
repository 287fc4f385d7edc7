"""Bounds: compare the lengths and the numeric bounds of two schemas."""

from collections.abc import Iterator
from typing import Final

from arvo.testing.compatibility.gap import Gap, describe_keyword, keyword_gap
from arvo.testing.compatibility.normalise import Schema
from arvo.testing.schemas.json_schema import json_types

_NUMBERS: Final = frozenset({"integer", "number"})
# The keywords of each side, and the sign under which a greater bound is a tighter one.
_SIDES: Final = ((("minimum", "exclusiveMinimum"), 1), (("maximum", "exclusiveMaximum"), -1))


def compare_bounds(sent: Schema, accepted: Schema, path: str) -> Iterator[Gap]:
    """Yield a gap for each bound of *accepted* that is tighter than in *sent*."""
    for noun in ("Length", "Items", "Properties"):
        least, most = f"min{noun}", f"max{noun}"
        if accepted.get(least, 0) > sent.get(least, 0):
            yield keyword_gap(least, sent, accepted, path)
        if most in accepted and accepted[most] < sent.get(most, accepted[most] + 1):
            yield keyword_gap(most, sent, accepted, path)
    if not _NUMBERS & set(json_types(sent)):
        return
    for keywords, sign in _SIDES:
        ours = _tightest_bound(sent, keywords, sign)
        theirs = _tightest_bound(accepted, keywords, sign)
        if theirs is not None and (ours is None or ours < theirs):
            yield Gap(
                path,
                _describe_bound(sent, keywords, ours),
                _describe_bound(accepted, keywords, theirs),
            )
    step, our_step = accepted.get("multipleOf"), sent.get("multipleOf")
    if step is not None and (our_step is None or our_step % step):
        yield keyword_gap("multipleOf", sent, accepted, path)


def _tightest_bound(
    schema: Schema, keywords: tuple[str, str], sign: int
) -> tuple[float, int] | None:
    """Return the tightest bound times *sign*, and the position of its keyword."""
    bounds = [
        (sign * schema[keyword], position)
        for position, keyword in enumerate(keywords)
        if keyword in schema
    ]
    return max(bounds, default=None)


def _describe_bound(
    schema: Schema, keywords: tuple[str, str], bound: tuple[float, int] | None
) -> str:
    if bound is None:
        return f"no {keywords[0]}"
    keyword = keywords[bound[1]]
    return describe_keyword(keyword, schema[keyword])
