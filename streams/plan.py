"""The catalogue compiled for a shard: which matchers feed which rings, and which windows are judged at which hop."""

from typing import NamedTuple

import msgspec
import numpy as np

from config.effective import Policy
from config.schema import Catalogue, Outcome, Ratio, Repeat, Sequence, Series, Share, Signal, Volume, millis
from streams.columns import Matcher, Routes, matcher_of
from streams.entities import Population
from streams.market import REACH
from streams.money import Units
from streams.patterns import RepeatWatch, SequenceWatch, step_matcher
from streams.rates import DAY, HOUR, OUTCOME_DAYS, Counts, RateWatch
from streams.series import SeriesWatch, expectation_of
from streams.windows import Ring

Watch = RateWatch | RepeatWatch | SequenceWatch
AnyTest = Volume | Outcome | Share | Ratio | Series | Repeat | Sequence


PEERS_ONLY = 1e6  # a strength of the prior beside which no past of its own counts


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
        self.catalogue = catalogue
        self.delays = {code: market.delays for code, market in sorted(catalogue.markets.items())}
        self.matchers: list[Matcher] = []
        self.rings: dict[tuple[int, int], Ring] = {}  # (matcher, pane in ms)
        self.watches: list[list[Watch]] = []  # by signal, by test
        self.probes: list[Probe] = []
        self.waits = [_wait(signal) for signal in self.signals]  # ms, by signal: so long after a pane it is judged
        for index, signal in enumerate(self.signals):
            self.watches.append([self._watch(signal, test) for test in signal.tests])
            self.probes += self._probes(index, signal)
        self._join_crowds()
        self.live_marks = tuple(self._of_type(f"live.{mark}") for mark in ("started", "ended"))
        self.registered = self._of_type("account.registered")
        for matcher in self.matchers:  # events that links look at, though no test counts them: the list grows
            for kind in (*matcher.unless, *([matcher.undone_by] if matcher.undone_by else [])):
                self._of_type(kind)
            if matcher.follows is not None:
                self._matcher(matcher.follows[0])
        self.routes = Routes(self.matchers)
        self.counted = sorted({m for m, _ in self.rings} | {w.matcher for w in self._repeats()})
        self.rings_of = {m: [(pane, ring) for (n, pane), ring in self.rings.items() if n == m] for m in self.counted}
        self._rare_matchers = {m for w in self.rare_watches() for m in _matchers_of(w)}

    def _matcher(self, matcher: Matcher) -> int:
        if matcher not in self.matchers:
            self.matchers.append(matcher)
        return self.matchers.index(matcher)

    def _of_type(self, kind: str) -> int:
        return self._matcher(Matcher(((kind, ()),)))

    def measure(self, signal: Signal, name: str, outcome: bool = False) -> int:
        """The matcher of a measure."""
        return self._matcher(matcher_of(signal.measures[name], signal.measures)._replace(outcome=outcome))

    def _units(self, matcher: int) -> Units:
        return Units(self.matchers[matcher].sum, self.catalogue, self.people)

    def _ring(self, matcher: int, pane: int, size: int) -> Ring:
        """So many panes as a window has, as may lie ahead, as are read again, and the one that leaves."""
        rows = -(-size // pane) + -(-HOUR // pane) + -(-REACH // pane) + 2
        ring = self.rings.get((matcher, pane))
        if ring is None or ring.rows < rows:
            ring = ring or Ring(pane, rows, self.people.capacity, sums=self.matchers[matcher].sum is not None)
            ring.resize(rows)
            self.rings[matcher, pane] = ring
        return ring

    def _watch(self, signal: Signal, test: AnyTest) -> Watch:
        windows = [parse_window(text) for text in test.windows]
        if isinstance(test, Repeat):
            return RepeatWatch(test, windows[0][0], self.measure(signal, test.measure))
        if isinstance(test, Sequence):
            steps = [self._matcher(step_matcher(s)) for s in test.steps]
            return SequenceWatch(test, windows[0][0], steps, self.people.capacity)
        if isinstance(test, Volume) and test.newcomers:  # what few days of its own said would explain a newcomer away
            stubborn = msgspec.structs.replace(test.detector, prior_strength=PEERS_ONLY)
            test = msgspec.structs.replace(test, detector=stubborn)
        series, test = test, expectation_of(test) if isinstance(test, Series) else test
        matcher, wait = self.measure(signal, test.measure, isinstance(test, Outcome)), _wait(signal)
        counts = Counts({hop: self._ring(matcher, hop, size + wait) for size, hop in sorted(windows)},
                        self._units(matcher))  # fmt: skip
        of_counts, of = Counts({}, counts.units), None
        if not isinstance(test, Volume):
            of = self.measure(signal, test.of)
            of_counts = Counts(self._of_rings(test, of, windows, wait), self._units(of))
        first = self.matchers[matcher].clauses[0][0]  # the type whose delay stands for the measure's
        delays = {code: by_event[first] for code, by_event in self.delays.items() if first in by_event}
        rest = (matcher, windows, counts, of_counts, delays, self.people, self.catalogue, of)
        return SeriesWatch(series, *rest) if isinstance(series, Series) else RateWatch(test, *rest)

    def _join_crowds(self) -> None:
        """A test of newcomers learns what a day is like from a test of all creators' same measure, if there is one."""
        volumes = [(wait, w) for wait, watches in zip(self.waits, self.watches, strict=True) for w in watches
                   if type(w) is RateWatch and w.kind == "volume"]  # fmt: skip
        for wait, watch in volumes:
            if watch.newcomers is not None:
                alike = (w for v, w in volumes if (v, w.matcher, w.newcomers) == (wait, watch.matcher, None))
                watch.crowd = next(alike, None)

    def _of_rings(
        self, test: Outcome | Share | Ratio, of: int, windows: list[tuple[int, int]], wait: int
    ) -> dict[int, Ring]:
        """The denominators: of the same windows, or, for what follows later, of days."""
        if not isinstance(test, Outcome):
            return {hop: self._ring(of, hop, size + wait) for size, hop in sorted(windows)}
        base = min(hop for _, hop in windows)
        return {base: self._ring(of, base, base + wait), DAY: self._ring(of, DAY, OUTCOME_DAYS * DAY + wait)}

    def _probes(self, index: int, signal: Signal) -> list[Probe]:
        every = tuple(range(len(signal.tests)))
        grouped = [every] if signal.require == "all" else [(test,) for test in every]
        return [
            Probe(index, tests, window, *parse_window(text))
            for tests in grouped
            for window, text in enumerate(signal.tests[tests[0]].windows)
        ]

    def probe_of(self, signal: int, test: int, window: int) -> Probe:
        """By whom a window of a test is judged."""
        return next(p for p in self.probes if p.signal == signal and test in p.tests and p.window == window)

    def loosen(self, policies: list[Policy]) -> None:
        """Tests look for the least that anybody's policy asks for."""
        for watches, policy in zip(self.watches, policies, strict=True):
            for watch, test in zip(watches, policy.tests, strict=True):
                if isinstance(watch, RateWatch):
                    watch.minimum, watch.effect = test.minimum, test.effect

    def _repeats(self) -> list[RepeatWatch]:
        return [w for w in self.rare_watches() if isinstance(w, RepeatWatch)]

    def rare_watches(self) -> list[RepeatWatch | SequenceWatch]:
        return [w for watches in self.watches for w in watches if not isinstance(w, RateWatch)]

    def rare_routes(self) -> np.ndarray:
        """For each route, whether a rule or a pattern looks at its events one by one."""  # (n_routes,) bool
        return np.array([not self._rare_matchers.isdisjoint(members) for members in self.routes.members])

    def rate_watches(self) -> list[RateWatch]:
        return [w for watches in self.watches for w in watches if isinstance(w, RateWatch)]


def _wait(signal: Signal) -> int:
    return millis(signal.lateness) if signal.lateness else 0


def _matchers_of(watch: RepeatWatch | SequenceWatch) -> list[int]:
    return [watch.matcher] if isinstance(watch, RepeatWatch) else watch.matchers


def parse_window(text: str) -> tuple[int, int]:
    """Size and hop in milliseconds.

    >>> parse_window("24h by 1h")
    (86400000, 3600000)
    """
    size, hop = text.split(" by ")
    return millis(size), millis(hop)
