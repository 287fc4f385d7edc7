"""Chart: a whole statechart, checked and ready to run."""

from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, Generic, cast

from attrs import Factory, field, fields, frozen
from typing_extensions import TypeVar

from arvo.statechart.compiled.behaviour import behave
from arvo.statechart.compiled.program import Program
from arvo.statechart.compiled.tree import grow
from arvo.statechart.definition.problems import ChartError
from arvo.statechart.definition.state import State

# By default None, so that a chart without a context needs no annotation.
C = TypeVar("C", default=None)

CHART_ID = "(machine)"  # what XState calls a machine without an id
MICROSTEPS_MAX = 10_000  # in one macrostep; far above any chart that means to come to rest
MEMORY_MAX = 4_096  # configurations, selections and plans; parallel products would never end


def spell(key: object) -> str:
    """Write a key of ``on`` as an event type: a string is one, a class is called by its name."""
    if isinstance(key, str):
        return key
    if isinstance(key, type):
        return key.__name__
    raise TypeError(f"{key!r} is neither an event type nor a class")


def _compiled(chart: "Chart[Any]") -> Program:
    tree, problems = grow(chart, chart.id or CHART_ID)
    if problems:
        raise ChartError(problems)
    behaviours, compiler, problems = behave(tree, chart.delays, chart.name)
    if problems:
        raise ChartError(problems)
    origin = attrgetter("compiled"), (chart,)
    return Program(tree, behaviours, compiler, chart.name, memory=chart.memory, origin=origin)


@frozen(kw_only=True, eq=False)
class Chart(State, Generic[C]):
    """A statechart: the root state, and what the whole of it needs.

    *context* is the first context, or a function of the input that makes it (then its type has
    to be said: ``Chart[Order](context=...)``). *name* turns keys of
    ``on``, and classes of events that have no ``type``, into event types. *delays* gives the names
    in ``after`` their milliseconds, timedelta or function. *limit* bounds the microsteps of one
    event, *memory* how much is remembered in order to be fast (0: nothing).

    Raises ``ChartError`` with all that is wrong, each problem at its state's path.

    >>> lamp = Chart(id="lamp", initial="off", states={
    ...     "off": State(on={"flip": "on"}), "on": State(on={"flip": "off"})})
    >>> lamp.events
    ('flip',)
    """

    context: C | Callable[[Any], C] | None = None
    delays: Mapping[str, object] = field(factory=dict[str, object])
    name: Callable[[object], str] = spell
    limit: int = MICROSTEPS_MAX
    memory: int = MEMORY_MAX
    compiled: Program = field(init=False, repr=False, default=Factory(_compiled, takes_self=True))

    @property
    def events(self) -> tuple[str, ...]:
        """Every descriptor that some state hears, timers and done events included."""
        return tuple(self.compiled.vocabulary.exact)

    def begin(self, input: object) -> C:  # noqa: A002
        """Make the first context from *input*."""
        context: Any = self.context
        return cast("C", context(input) if callable(context) else context)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[()]]:
        # Without what was compiled: closures do not travel, and it is soon made again.
        values = {f.name: getattr(self, f.name) for f in fields(type(self)) if f.init}
        return partial(type(self), **values), ()
