"""The engine once more, to write down what it measured around some alerts, window after window.

    with open_source(Path("events.jsonl")) as source:
        found = traces(source.entries(), catalogue, [revisions], topic=source.topic, close=True)
    found[alert_id].points

Nothing is decided otherwise: a point is read where the engine decides, by what writes its alerts, so the point at the
end of a revision's window has the revision's own numbers. A window that is read again, since events came late, keeps
the point of its first reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from config.schema import Catalogue, Repeat, Signal
from config.schema import Sequence as Pattern
from streams.alerts import detector_of
from streams.columns import Record
from streams.engine import Engine
from streams.entities import UNBORN
from streams.outcome import OVER, peak
from streams.plan import AnyTest, Probe, parse_window
from streams.policy import LEVELS, Episode, Reading
from streams.pseudonyms import Pseudonyms
from streams.reasons import iso_duration
from streams.recording import TOPIC
from streams.records import Alert
from streams.replay import Begin, replay
from streams.ticks import Tick
from streams.traced import Point, Trace

LEAD_WINDOWS, LEAD_POINTS = 3, 48  # before an alert opened: so many windows, and points at most
POINTS_MAX = 400  # of one trace; those of revisions come on top
ASIDE = 4_096  # records between two looks at whether all has been seen
FOREVER = 1 << 62

Place = tuple[int, int]  # test, window


class Wanted:
    """An alert whose windows are to be written down, and what was found of it so far."""

    def __init__(self, revisions: Sequence[Alert]) -> None:
        first, last, self.top = revisions[0], revisions[-1], peak(revisions)
        self.opened_at = first.opened_at
        self.last = last.window_end if last.status in OVER else FOREVER  # ms, of the newest window
        self.ends = {revision.window_end for revision in revisions}
        self.place: Place | None = None  # of the peak: known when it comes out again
        self.hop = 0
        self.points: dict[Place, dict[int, Point]] = {}
        self.over = False

    @property
    def partitions(self) -> set[int]:
        return partitions_of([self.top])

    def asks(self, place: Place, at: int, size: int, hop: int) -> bool:
        """Whether the window that ends at `at` is one of the trace."""
        lead = min(LEAD_WINDOWS * size, LEAD_POINTS * hop)
        if not self.opened_at - lead <= at <= self.last:
            return False
        return at in self.ends or len(self.points.get(place, ())) < POINTS_MAX

    def trace(self) -> Trace | None:
        """None where the alert did not come out again."""
        if self.place is None:
            return None
        points = self.points.get(self.place, {})
        return Trace(self.top.alert_id, self.top.unit, self.top.window, self.hop, [points[at] for at in sorted(points)])


class Tracer(Engine):
    """An engine that decides as ever, and writes down what its alerts would say at every hop."""

    def __init__(self, catalogue: Catalogue, topic: str, partition: int, wanted: Sequence[Wanted]) -> None:
        self.wanted = wanted
        super().__init__(catalogue, topic, partition, Pseudonyms(bytes(32)))  # its alerts are thrown away

    def _decide(self, readings: dict[tuple[int, int], list[Reading]], end: int) -> None:
        for one in self.wanted:
            self._write_down(one, end)
        super()._decide(readings, end)

    def _publish(self, alert: Alert, episode: Episode) -> None:
        super()._publish(alert, episode)
        for one in self.wanted:
            if (alert.alert_id, alert.revision) == (one.top.alert_id, one.top.revision):
                one.place = episode.test, episode.window
                one.hop = self.plan.probe_of(self.plan.names.index(alert.signal), *one.place).hop

    def _write_down(self, one: Wanted, end: int) -> None:
        slot = self.entities.slots.get((one.top.entity.id, one.top.market))
        if one.top.signal not in self.plan.names:
            return
        signal = self.plan.names.index(one.top.signal)
        at = end - self.plan.waits[signal]
        one.over = at > one.last
        if slot is None or self.people.born[slot] == UNBORN:
            return
        for place in places(self.plan.signals[signal], one.top):
            probe = self.plan.probe_of(signal, *place)
            if at % probe.hop == 0 and one.asks(place, at, probe.size, probe.hop) and self._is_warm(probe, at):
                one.points.setdefault(place, {})[at] = self._point(probe, place, slot, at)

    def _point(self, probe: Probe, place: Place, slot: int, at: int) -> Point:
        facts = self.writer.facts(probe.signal, *place, slot, at)
        level = self.judge.again(probe, at, slot).level
        severity = LEVELS[level] if level else None
        return Point(at, facts.observed, facts.expected, facts.low, facts.high, facts.score, severity)


def places(signal: Signal, alert: Alert) -> list[Place]:
    """The tests of a signal and their windows that an alert may be of, by what it says of itself; mostly just one."""
    return [
        (test, window)
        for test, spec in enumerate(signal.tests)
        for window, text in enumerate(spec.windows)
        if iso_duration(parse_window(text)[0]) == alert.window and _may_be_of(spec, signal, alert)
    ]


def _may_be_of(spec: AnyTest, signal: Signal, alert: Alert) -> bool:
    if detector_of(spec) != alert.detector:
        return False
    if isinstance(spec, Pattern):
        return True
    weight = spec.weight if isinstance(spec, Repeat) else None
    said = alert.reason_args.get("many"), alert.reason_args.get("weight")
    return said == (signal.measures[spec.measure].many, weight)


def partitions_of(revisions: Iterable[Alert]) -> set[int]:
    """Where the events of an alert stand, by its evidence; all of a creator stand in one."""
    named = [alert.evidence for alert in revisions]
    return {one.partition for evidence in named for one in evidence.sources} | {
        one.partition for evidence in named for one in evidence.events
    }


class _Sought(NamedTuple):
    everywhere: list[Wanted]
    by_partition: Mapping[int, list[Wanted]]

    def of(self, partition: int) -> list[Wanted]:
        return [*self.by_partition.get(partition, ()), *self.everywhere]


def traces(
    entries: Iterable[tuple[int, Record | Tick]],
    catalogue: Catalogue,
    alerts: Sequence[Sequence[Alert]],
    *,
    topic: str = TOPIC,
    close: bool = False,
    progress: Callable[[int], None] = lambda records: None,
    begin: Begin | None = None,
) -> dict[str, Trace]:
    """The trace of each of these alerts, (all its revisions, in their order), by id; none where it doesn't come out.

    One pass over the entries, whatever the number of alerts; partitions without any of them are not run.
    """
    wanted = [Wanted(revisions) for revisions in alerts]
    by_partition: dict[int, list[Wanted]] = {}
    for one in wanted:
        for partition in one.partitions:
            by_partition.setdefault(partition, []).append(one)
    sought = _Sought([one for one in wanted if not one.partitions], by_partition)

    def engine(catalogue: Catalogue, topic: str, partition: int) -> Engine:
        return Tracer(catalogue, topic, partition, sought.of(partition))

    if wanted:
        asked = _asked_for(entries, sought, wanted)
        replay(asked, catalogue, topic=topic, close=close, progress=progress, engine=engine, begin=begin)
    return {one.top.alert_id: trace for one in wanted if (trace := one.trace()) is not None}


def _asked_for(
    entries: Iterable[tuple[int, Record | Tick]], sought: _Sought, wanted: Sequence[Wanted]
) -> Iterator[tuple[int, Record | Tick]]:
    """The entries of partitions in which something is sought, until all of it was seen."""
    for n, (partition, entry) in enumerate(entries):
        if sought.everywhere or partition in sought.by_partition:
            yield partition, entry
        if n % ASIDE == 0 and all(one.over for one in wanted):
            return
