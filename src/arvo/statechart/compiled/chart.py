"""Chart: a whole statechart, validated and ready to run."""

from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, Generic, cast

from attrs import Factory, field, fields, frozen
from typing_extensions import TypeVar

from arvo.statechart.compiled.program import Program
from arvo.statechart.compiled.resolve import resolve_behaviours
from arvo.statechart.compiled.tree import number_states
from arvo.statechart.definition.problems import ChartError
from arvo.statechart.definition.state import State

# By default None, so that a chart without a context needs no annotation.
C = TypeVar("C", default=None)

CHART_ID = "(machine)"  # XState's name of a machine without an id
MICROSTEPS_MAX = 10_000  # in one macrostep; far above any chart that becomes stable
MEMORY_MAX = 4_096  # cached configurations, selections and plans; parallel states multiply them


def descriptor_of(key: object) -> str:
    """Return the event type of a key of ``on``: the key itself, or the name of a class."""
    if isinstance(key, str):
        return key
    if isinstance(key, type):
        return key.__name__
    raise TypeError(f"the key {key!r} of on is neither an event type nor a class: use one of them")


def _compile(chart: "Chart[Any]") -> Program:
    tree, problems = number_states(chart, chart.id or CHART_ID)
    if problems:
        raise ChartError(problems)
    behaviours, compiler, problems = resolve_behaviours(tree, chart.delays, chart.name)
    if problems:
        raise ChartError(problems)
    origin = attrgetter("compiled"), (chart,)
    return Program(tree, behaviours, compiler, chart.name, memory=chart.memory, origin=origin)


@frozen(kw_only=True, eq=False)
class Chart(State, Generic[C]):
    """A statechart: the root state, and the settings of the whole.

    *context* is the first context, or a function that makes it from the input. A chart with such
    a function needs its context's type as an annotation: ``Chart[Order](context=...)``. *name*
    turns keys of ``on``, and classes of events that have no ``type``, into event types. *delays*
    maps the names in ``after`` to milliseconds, a timedelta or a function. *limit* bounds the
    microsteps of one event. *memory* bounds the number of results that are cached for speed; 0
    turns the cache off.

    Raises ``ChartError`` with every problem, each at the path of its state.

    >>> lamp = Chart(id="lamp", initial="off", states={
    ...     "off": State(on={"flip": "on"}), "on": State(on={"flip": "off"})})
    >>> lamp.events
    ('flip',)
    """

    context: C | Callable[[Any], C] | None = None
    delays: Mapping[str, object] = field(factory=dict[str, object])
    name: Callable[[object], str] = descriptor_of
    limit: int = MICROSTEPS_MAX
    memory: int = MEMORY_MAX
    compiled: Program = field(init=False, repr=False, default=Factory(_compile, takes_self=True))

    @property
    def events(self) -> tuple[str, ...]:
        """Every event descriptor that a state handles, timers and done events included."""
        return tuple(self.compiled.descriptors.exact)

    def initial_context(self, input: object) -> C:  # noqa: A002
        """Return the first context for *input*."""
        context: Any = self.context
        return cast("C", context(input) if callable(context) else context)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[()]]:
        # Without the compiled part: closures cannot be pickled, and compiling again is quick.
        values = {f.name: getattr(self, f.name) for f in fields(type(self)) if f.init}
        return partial(type(self), **values), ()
