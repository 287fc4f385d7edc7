"""Find: the picture of a chart, drawn once for all of its workflows."""

from arvo.console.pictures.drawer import drawer
from arvo.console.views.workflow.chart import ChartView, SourceView
from arvo.console.views.workflow.picture import DRAWN_STATES_MAX, PictureView, show_picture


def find_picture(chart: ChartView | SourceView | str) -> PictureView | None:
    """Return the picture of a chart, or why there is none; None where no machine leads."""
    if not isinstance(chart, ChartView):
        return None
    if not drawer.can_draw:
        return PictureView(note="The extra diagram of Arvo draws a picture of the chart.")
    if chart.states > DRAWN_STATES_MAX:
        return PictureView(note=f"A picture has at most {DRAWN_STATES_MAX} states.")
    return show_picture(drawer.find(chart.plain), chart.marked, chart.visited)
