"""Reports: those of one workflow that a watcher gets, without what is out of date."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final, TypeVar, final

from attrs import define, field

from arvo.core.history import HistoryEntry
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.reports.channel import ReportReader, find_channel
from arvo.interpreters.reports.report import Report, decode_batch

T = TypeVar("T")

# Events of which a watcher knows the newest delivery, and that their turn is over.
EVENTS_MAX: Final = 1_000


def open_reader(backend: Backend, subject: str) -> AbstractAsyncContextManager[ReportReader | None]:
    """Return a context with a reader of a workflow's reports, None where the backend has none."""
    channel = find_channel(backend)
    return nullcontext() if channel is None else channel.read(subject)


@final
@define(eq=False)
class CurrentReports:
    """The reports of turns that are under way, as *reader* has them.

    A worker that has lost its delivery may report on until it knows. Its reports are dropped once
    the next worker has reported, or the turn is over.
    """

    reader: ReportReader | None
    _newest: "OrderedDict[str, int]" = field(factory=OrderedDict, init=False)
    _over: "OrderedDict[str, None]" = field(factory=OrderedDict, init=False)

    async def take(self) -> list[Report]:
        """Return the reports that have come."""
        if self.reader is None:
            return []
        batches = await self.reader.take()
        return [report for batch in batches for report in self._current(decode_batch(batch))]

    def end_turns(
        self, entries: Sequence[HistoryEntry], reports: Iterable[Report]
    ) -> tuple[list[Report], list[Report]]:
        """Split *reports* into those of turns that *entries* end, which come before, and others."""
        ids = {id_ for entry in entries for id_ in _ended(entry)}
        waiting = list(reports)
        for id_ in ids:
            _remember(self._over, id_, None)
        return [it for it in waiting if it.event in ids], [
            it for it in waiting if it.event not in ids
        ]

    def _current(self, reports: Iterable[Report]) -> Iterator[Report]:
        for report in reports:
            newest = self._newest.get(report.event, 0)
            if report.event not in self._over and report.delivery >= newest:
                _remember(self._newest, report.event, report.delivery)
                yield report


def _ended(entry: HistoryEntry) -> Iterator[str]:
    """Yield the ids of the events whose turns an entry shows to be over."""
    if entry.kind == "consumed" and entry.event is not None:
        yield entry.event.id
        # It may be the reply of a service.
        if entry.event.parentid is not None:
            yield entry.event.parentid


def _remember(known: "OrderedDict[str, T]", id_: str, value: T) -> None:
    known[id_] = value
    known.move_to_end(id_)
    if len(known) > EVENTS_MAX:
        known.popitem(last=False)
