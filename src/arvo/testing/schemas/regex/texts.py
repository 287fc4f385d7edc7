"""Texts: a Hypothesis strategy for strings of an alphabet, however long."""

from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# Hypothesis draws no more than some thousand characters for one example.
DRAWN_CHARACTERS_MAX: Final = 128


def texts(alphabet: SearchStrategy[str], least: int, most: int) -> SearchStrategy[str]:
    """Draw strings of *least* to *most* characters; longer ones repeat their beginning."""
    if most <= DRAWN_CHARACTERS_MAX:
        return st.text(alphabet, min_size=least, max_size=most)
    if least <= DRAWN_CHARACTERS_MAX:
        return st.text(alphabet, min_size=least, max_size=DRAWN_CHARACTERS_MAX)
    beginnings = st.text(alphabet, min_size=DRAWN_CHARACTERS_MAX, max_size=DRAWN_CHARACTERS_MAX)
    # Not each length, but the two that a wrong bound confuses.
    sizes = st.sampled_from([least, min(most, least + 1), min(most, least + DRAWN_CHARACTERS_MAX)])
    return st.builds(_fill, beginnings, sizes)


def _fill(beginning: str, size: int) -> str:
    return (beginning * (size // len(beginning) + 1))[:size]
