"""Pictures: a chart is drawn once, and marked for each workflow and revision."""

from typing import Final

import pytest
from attrs import evolve

from arvo.console.pictures import drawer as drawing
from arvo.console.pictures.drawer import DRAWN_MAX, WAITING_MAX, Drawer
from arvo.console.pictures.find import find_picture
from arvo.console.views.workflow.chart import ChartView, show_chart
from arvo.console.views.workflow.picture import DRAWN_STATES_MAX, show_picture
from arvo.statechart import Drawing, draw
from tests.console.stores import ORDERS, filled, machine, system
from tests.interpreters.until import until
from tests.interpreters.within import within

# What a page must not have, beside what it may have.
HOSTILE: Final = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 20" onload="x()">
<style>g { fill: red }</style><script>x()</script>
<g id="my-svg-state-n1-4" class="node x1 a&quot;b" style="fill:red"><rect x="1" onclick="x()"/>
<foreignObject width="5"><div xmlns="http://www.w3.org/1999/xhtml" style="x"><p>a &lt;b&gt;</p>
<img src="x"/></div></foreignObject></g>
<a href="javascript:x()"><path d="M0"/></a><image href="http://x/"/><use href="#y"/>
</svg>"""


def test_a_picture_has_shapes_and_texts_alone() -> None:
    """The policy of the pages would block the rest, and a page must not depend on that."""
    shown = show_picture(HOSTILE, active=[1], visited=[])

    assert shown.svg == (
        '<svg viewBox="0 0 10 20" role="img" aria-labelledby="picture-name" width="10" height="20">'
        '<g class="c-node is-active"><rect x="1"></rect>'
        '<foreignObject width="5"><div>a &lt;b&gt;</div></foreignObject></g></svg>'
    )


def test_what_is_no_picture_is_named() -> None:
    """The list of states is on the page all the same."""
    assert show_picture(None, [], []).is_drawing
    assert show_picture("", [], []).note == "The chart could not be drawn."


def test_the_states_of_a_revision_are_marked_in_the_picture_of_the_chart() -> None:
    """It is drawn once, in a process of its own, for all workflows and revisions."""
    made = Drawer()
    plain = draw(machine.chart)
    assert made.can_draw

    async def go() -> str:
        await until(lambda: made.find(plain) is not None)
        return made.find(plain) or ""

    svg = within(go(), 300)
    waiting = show_picture(svg, active=[0, 1, 3], visited=[2]).svg or ""

    # The states around it, and the state itself.
    assert waiting.count("is-active") == 3
    assert waiting.count("was-active") == 1
    assert "evt.bank.charged / assign" in waiting
    assert "style" not in waiting


def chart_view() -> ChartView:
    """Return the view of a workflow that a machine leads."""

    async def go() -> ChartView:
        async with filled() as runtime:
            record = await runtime.record(ORDERS["chart-1"].subject)
            assert record is not None
            view = show_chart(system, record, ())
            assert isinstance(view, ChartView)
            return view

    return within(go())


def test_a_page_says_why_it_has_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is an extra, and a chart may be too large."""
    view = chart_view()
    large = find_picture(evolve(view, states=DRAWN_STATES_MAX + 1))
    monkeypatch.setattr(drawing, "find_spec", lambda _: None)
    missing = find_picture(view)

    assert large is not None
    assert missing is not None
    assert large.note == "A picture has at most 100 states."
    assert missing.note == "The extra diagram of Arvo draws a picture of the chart."
    assert find_picture("no chart") is None


def test_what_is_drawn_and_what_waits_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system may have any number of charts, and an operator opens them all."""
    asked: list[str] = []
    made = Drawer()

    def run(text: str) -> str:
        asked.append(text)
        return f"svg of {text}"

    monkeypatch.setattr(drawing, "_run", run)
    drawings = [Drawing(f"chart {number}") for number in range(DRAWN_MAX + 1)]

    async def go() -> int:
        with made._turn:
            for it in drawings:
                assert made.find(it) is None
            waiting = len(made._waiting)
        for it in drawings:
            await until(lambda it=it: made.find(it) is not None)  # type: ignore[misc]
        return waiting

    assert within(go()) == WAITING_MAX
    assert len(made._drawn) == DRAWN_MAX
    assert sorted(asked) == sorted(drawings)
    assert made.find(drawings[-1]) == f"svg of {drawings[-1]}"


def test_a_chart_that_cannot_be_drawn_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt would take a second of a core."""
    made = Drawer()
    monkeypatch.setattr(drawing, "_SCRIPT", "raise SystemExit(1)")

    async def go() -> None:
        await until(lambda: made.find(Drawing("no chart")) is not None)

    within(go(), 120)

    assert made.find(Drawing("no chart")) == ""
