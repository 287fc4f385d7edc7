"""Picture: the SVG of a chart as a page may have it, with the active states marked by classes."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final, final
from xml.etree import ElementTree as ET

from attrs import frozen
from markupsafe import Markup

from arvo.printable import printable

# A picture of more states is too large to read, and takes too long to draw.
DRAWN_STATES_MAX: Final = 100
# Shapes, and what places them. The rest is left out: the policy of the pages allows no style in
# them, and their theme has the colours.
TAGS: Final = frozenset(
    {"svg", "g", "defs", "marker", "path", "rect", "line", "circle", "ellipse", "polygon"}
)
_PLACES: Final = frozenset({"x", "y", "width", "height", "transform"})
ATTRIBUTES: Final = _PLACES.union(
    ("viewBox", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "d", "points"),
    ("refX", "refY", "markerWidth", "markerHeight", "markerUnits", "orient", "marker-end"),
)
LABEL: Final = "foreignObject"
# The element of a state has its index, as `draw` numbers it.
_STATE: Final = re.compile(r"-state-n([0-9]+)-[0-9]+")
_CLASS: Final = re.compile(r"[A-Za-z][A-Za-z-]*")


@final
@frozen
class PictureView:
    """The *svg* of a chart. Without it *note* says why; *is_drawing*: it is there soon."""

    svg: Markup | None = None
    note: str = ""
    is_drawing: bool = False


def show_picture(svg: str | None, active: Collection[int], visited: Collection[int]) -> PictureView:
    """Return the picture of a chart; *active*, *visited*: the indexes of states.

    *svg*: the answer of the drawer: None while it draws, and an empty text if that failed.
    """
    if svg is None:
        return PictureView(note="The picture is being drawn.", is_drawing=True)
    try:
        root = ET.fromstring(svg)  # noqa: S314 - our own process has made it
    except ET.ParseError:
        return PictureView(note="The chart could not be drawn.")
    marks = dict.fromkeys(visited, "was-active") | dict.fromkeys(active, "is-active")
    return PictureView(Markup("").join(_write(root, marks)))


def _write(element: ET.Element, marks: Mapping[int, str]) -> Iterator[Markup]:
    """Yield the parts of an element that a page may have."""
    tag = str(element.tag).rpartition("}")[2]
    if tag == LABEL:
        text = printable(" ".join(" ".join(element.itertext()).split()))
        places = {name: it for name, it in element.attrib.items() if name in _PLACES}
        if text:
            label = Markup("<{0}{1}><div>{2}</div></{0}>")
            yield label.format(LABEL, _attributes(places), text)
    elif tag in TAGS:
        yield Markup("<{}{}>").format(tag, _attributes(_given(element, tag, marks)))
        for child in element:
            yield from _write(child, marks)
        yield Markup("</{}>").format(tag)


def _given(element: ET.Element, tag: str, marks: Mapping[int, str]) -> dict[str, str]:
    """Return the attributes of an element, with classes that no other part of a page has."""
    given = {name: it for name, it in element.attrib.items() if name in ATTRIBUTES}
    classes = [f"c-{it}" for it in element.get("class", "").split() if _CLASS.fullmatch(it)]
    id_ = element.get("id", "")
    if tag == "marker":
        given["id"] = id_  # arrows refer to it
    if tag == "svg":
        given |= {"role": "img", "aria-labelledby": "picture-name"}
        # As large as it was drawn: letters that shrink with the window cannot be read.
        size = given.get("viewBox", "").split()[2:]
        given |= zip(("width", "height"), size, strict=False)
    if found := _STATE.search(id_):
        classes += filter(None, [marks.get(int(found[1]))])
    return {**given, "class": " ".join(classes)} if classes else given


def _attributes(given: Mapping[str, str]) -> Markup:
    pairs = (Markup(' {}="{}"').format(name, printable(it)) for name, it in given.items())
    return Markup("").join(pairs)
