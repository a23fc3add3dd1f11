"""The catalogue compiled for a shard: which matchers feed which rings, and which windows are judged at which hop."""

from typing import NamedTuple

import numpy as np

from config.schema import Catalogue, Measure, Outcome, Repeat, Sequence, Share, Signal, Volume, millis
from streams.columns import Matcher, Routes
from streams.entities import Population
from streams.patterns import RepeatWatch, SequenceWatch, step_matcher
from streams.rates import DAY, HOUR, OUTCOME_DAYS, RateWatch
from streams.windows import Ring

Watch = RateWatch | RepeatWatch | SequenceWatch


class Probe(NamedTuple):
    """Judge these tests of a signal at every `hop`: a window of one test, or the same window of all of them."""

    signal: int
    tests: tuple[int, ...]
    window: int
    size: int  # ms
    hop: int  # ms


class Plan:
    """Rings and watches of one shard, in the order of the catalogue."""

    def __init__(self, catalogue: Catalogue, people: Population) -> None:
        self.names = sorted(catalogue.signals)
        self.signals: list[Signal] = [catalogue.signals[name] for name in self.names]
        self.people = people
        self.delays = {code: market.delays for code, market in sorted(catalogue.markets.items())}
        self.matchers: list[Matcher] = []
        self.rings: dict[tuple[int, int], Ring] = {}  # (matcher, pane in ms)
        self.watches: list[list[Watch]] = []  # by signal, by test
        self.probes: list[Probe] = []
        for index, signal in enumerate(self.signals):
            self.watches.append([self._watch(signal, test) for test in signal.tests])
            self.probes += self._probes(index, signal)
        self.live_marks = tuple(self._matcher(Matcher(frozenset({f"live.{mark}"}))) for mark in ("started", "ended"))
        self.routes = Routes(self.matchers)
        self._rare_matchers = {m for w in self.rare_watches() for m in _matchers_of(w)}

    def _matcher(self, matcher: Matcher) -> int:
        if matcher not in self.matchers:
            self.matchers.append(matcher)
        return self.matchers.index(matcher)

    def measure(self, signal: Signal, name: str, outcome: bool = False) -> int:
        """The matcher of a measure."""
        measure: Measure = signal.measures[name]
        return self._matcher(step_matcher(measure.events, measure.where)._replace(live=measure.live, outcome=outcome))

    def _ring(self, matcher: int, pane: int, size: int) -> Ring:
        rows = size // pane + -(-HOUR // pane) + 2  # the window, what may lie ahead, and the pane that leaves
        ring = self.rings.get((matcher, pane))
        if ring is None or ring.rows < rows:
            ring = ring or Ring(pane, rows, self.people.capacity)
            ring.resize(rows)
            self.rings[matcher, pane] = ring
        return ring

    def _watch(self, signal: Signal, test: Volume | Outcome | Share | Repeat | Sequence) -> Watch:
        windows = [parse_window(text) for text in test.windows]
        if isinstance(test, Repeat):
            return RepeatWatch(test, windows[0][0], self.measure(signal, test.measure))
        if isinstance(test, Sequence):
            steps = [self._matcher(step_matcher(s.events, s.where, s.novel)) for s in test.steps]
            return SequenceWatch(test, windows[0][0], steps, self.people.capacity)
        matcher = self.measure(signal, test.measure, isinstance(test, Outcome))
        rings = {hop: self._ring(matcher, hop, size) for size, hop in sorted(windows)}
        of_rings: dict[int, Ring] = {}
        if isinstance(test, Share):
            of = self.measure(signal, test.of)
            of_rings = {hop: self._ring(of, hop, size) for size, hop in sorted(windows)}
        elif isinstance(test, Outcome):
            of = self.measure(signal, test.of)
            base = min(hop for _, hop in windows)
            of_rings = {base: self._ring(of, base, base), DAY: self._ring(of, DAY, OUTCOME_DAYS * DAY)}
        delays = {
            code: by_event[signal.measures[test.measure].events[0]]
            for code, by_event in self.delays.items()
            if signal.measures[test.measure].events[0] in by_event
        }
        return RateWatch(test, matcher, windows, rings, of_rings, delays, self.people)

    def _probes(self, index: int, signal: Signal) -> list[Probe]:
        every = tuple(range(len(signal.tests)))
        grouped = [every] if signal.require == "all" else [(test,) for test in every]
        return [
            Probe(index, tests, window, *parse_window(text))
            for tests in grouped
            for window, text in enumerate(signal.tests[tests[0]].windows)
        ]

    def rare_watches(self) -> list[RepeatWatch | SequenceWatch]:
        return [w for watches in self.watches for w in watches if not isinstance(w, RateWatch)]

    def rare_routes(self) -> np.ndarray:
        """For each route, whether a rule or a pattern looks at its events one by one."""  # (n_routes,) bool
        return np.array([not self._rare_matchers.isdisjoint(members) for members in self.routes.members])

    def rate_watches(self) -> list[RateWatch]:
        return [w for watches in self.watches for w in watches if isinstance(w, RateWatch)]


def _matchers_of(watch: RepeatWatch | SequenceWatch) -> list[int]:
    return [watch.matcher] if isinstance(watch, RepeatWatch) else watch.matchers


def parse_window(text: str) -> tuple[int, int]:
    """Size and hop in milliseconds.

    >>> parse_window("24h by 1h")
    (86400000, 3600000)
    """
    size, hop = text.split(" by ")
    return millis(size), millis(hop)
