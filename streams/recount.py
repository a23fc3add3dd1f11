"""What an alert counted, counted once more from the events of its window: no panes, no rings, no memory. Pure.

What a measure asks of earlier events (`once`, `again`, `follows` …) can't be seen in a window; there the events give
the least and the most that may have been counted, and the replay says which.
"""

import math
from collections import defaultdict
from collections.abc import Collection
from itertools import pairwise
from typing import NamedTuple

from msgspec import UNSET

from config.schema import Catalogue, Measure, Outcome, Ratio, Repeat, Series, Share, Signal, millis
from config.schema import Sequence as Pattern
from streams.columns import Matcher, matcher_of
from streams.money import CENTS, amount_of
from streams.patterns import TIMES_MAX, step_matcher, weighed
from streams.records import Alert, Event

ROUNDED = 1e-6  # to which an alert's own figures are
EVENTS_MAX = 200_000  # of a window and a measure
FORGOTTEN = "of a creator that was silent for long, and may have been forgotten"


class Counted(NamedTuple):
    """One figure of an alert beside what the events of its window come to."""

    figure: str  # observed, numerator or denominator
    said: float
    least: float
    most: float
    many: str  # what is counted
    unsure: str = ""  # what the window's events alone can't tell

    @property
    def agrees(self) -> bool:
        return self.least - self._slack <= self.said <= self.most + self._slack

    @property
    def _slack(self) -> float:
        return max(ROUNDED, 1e-9 * abs(self.said))


class Recount:
    """The counts of one measure in the window of an alert."""

    def __init__(self, signal: Signal, name: str, alert: Alert, catalogue: Catalogue) -> None:
        self.measure: Measure = signal.measures[name]
        self.matcher: Matcher = matcher_of(self.measure, signal.measures)
        self.alert = alert
        self.currency = catalogue.market(alert.market).currency
        self.inactive_after = millis(catalogue.engine.inactive_after)
        self.seen: set[str] = set()  # an event that was delivered again counts once
        self.events: list[Event] = []
        self.taken_back = 0  # events that void one, of whatever time
        self.too_many = False

    def see(self, event: Event, covered: bool) -> None:
        """An event of the alert's creator and market; `covered`: within the offsets that the alert's evidence names."""
        if event.type == self.matcher.undone_by:
            self.taken_back += 1
        inside = self.alert.window_start <= event.occurred_at < self.alert.window_end
        if covered and inside and event.event_id not in self.seen and self.matcher.takes(event):
            if len(self.events) < EVENTS_MAX:
                self.seen.add(event.event_id)
                self.events.append(event)
            else:
                self.too_many = True

    def total(self, events: list[Event]) -> float:
        """As an alert says it: money in major units, anything else as it was counted."""
        adds = self.matcher.sum
        if adds is None:
            return float(len(events))
        return sum(amount_of(event, adds, self.currency) for event in events) / (CENTS if adds.of == "amount" else 1)

    def counted(self, figure: str, said: float, since: int | None = None) -> Counted:
        """Beside a figure of the alert; outcomes of orders from before `since` may be left out."""
        most = self.total(self.events)
        if self.too_many:
            return Counted(figure, said, 0.0, math.inf, self.measure.many, f"over {EVENTS_MAX:,} of them")
        if why := _linked(self.measure):
            shifted = self.measure.after is not None
            return Counted(figure, said, 0.0, math.inf if shifted else most, self.measure.many, why)
        if self.taken_back:
            return Counted(figure, said, 0.0, most, self.measure.many, "some were taken back since")
        lately = self._since_silence()
        sure = [event for event in lately if since is None or _ref_at(event, since) >= since]
        why = FORGOTTEN if len(lately) < len(self.events) else ""
        why = "orders from before the events began" if len(sure) < len(lately) else why
        return Counted(figure, said, self.total(sure), most, self.measure.many, why)

    def repeated(self, test: Repeat) -> Counted:
        """The largest sum of one value, as the rule has it."""
        most, least = _largest(test, self.events), _largest(test, self._since_silence())
        why = _linked(self.measure) or (FORGOTTEN if least < most else "")
        if self.taken_back:
            why = "some were taken back since"
        if len(self.events) > TIMES_MAX:
            why = f"more than {TIMES_MAX} events, of which a rule keeps the newest"
        if why not in ("", FORGOTTEN):
            least = 0.0
        return Counted("observed", self.alert.observed, least, most, self.measure.many, why)

    def _since_silence(self) -> list[Event]:
        """Without those from before a silence after which a creator is forgotten."""
        found = sorted(self.events, key=lambda event: event.occurred_at)
        gaps = [at for at, (one, next_) in enumerate(pairwise(found), 1)
                if next_.occurred_at - one.occurred_at > self.inactive_after]  # fmt: skip
        return found[gaps[-1] :] if gaps else found


def _largest(test: Repeat, events: list[Event]) -> float:
    sums: defaultdict[str, int] = defaultdict(int)
    for event in events:
        value, weight = weighed(test, event)
        sums[value] += weight
    return float(max(sums.values(), default=0))


def _linked(measure: Measure) -> str:
    """What else than its own attributes decides whether an event counts."""
    asks = ("live", "once", "again", "follows", "after", "unless")
    found = [name for name in asks if getattr(measure, name) not in (None, [])]
    return f"also by `{'`, `'.join(found)}`" if found else ""


def _ref_at(event: Event, otherwise: int) -> int:
    return otherwise if event.attrs is UNSET else int(event.attrs.get("ref_at", otherwise))


class Recounts:
    """All that an alert of this signal may have counted; which test it was is known only once it comes out again."""

    def __init__(self, alert: Alert, catalogue: Catalogue) -> None:
        self.alert, self.signal = alert, catalogue.signals[alert.signal]
        names = {name for test in self.signal.tests for name in _measures(test)}
        self.of = {name: Recount(self.signal, name, alert, catalogue) for name in sorted(names)}

    def see(self, event: Event, covered: bool) -> None:
        for one in self.of.values():
            one.see(event, covered)

    def takes(self, event: Event) -> bool:
        """Whether it may be one of those that the signal looks at."""
        steps = [step_matcher(step) for test in self.signal.tests if isinstance(test, Pattern) for step in test.steps]
        return any(matcher.takes(event) for matcher in (*steps, *(one.matcher for one in self.of.values())))

    def leave_out(self, event_ids: Collection[str]) -> None:
        """Events of whose time the engine was not sure: it set them aside."""
        for one in self.of.values():
            one.events = [event for event in one.events if event.event_id not in event_ids]

    def counted(self, test: int, since: int | None = None) -> list[Counted]:
        """The figures of one test that can be counted; none of a pattern."""
        spec, alert = self.signal.tests[test], self.alert
        names = _measures(spec)
        if not names:
            return []
        first = self.of[names[0]]
        if isinstance(spec, Repeat):
            return [first.repeated(spec)]
        outcome = isinstance(spec, Outcome) or (isinstance(spec, Series) and spec.of is not None)
        since = since if outcome else None
        if alert.numerator is None:
            return [first.counted("observed", alert.observed, since)]
        found = [first.counted("numerator", alert.numerator, since)]
        if isinstance(spec, Share | Ratio) and alert.denominator is not None:
            behind = self.of[names[1]].counted("denominator", alert.denominator)
            found.append(behind._replace(least=max(behind.least, _least_of(spec, found[0])),
                                         most=max(behind.most, 1.0)))  # fmt: skip
        return found


def _least_of(test: Share | Ratio, part: Counted) -> float:
    """A denominator is never said to be less than one, nor a whole less than its part."""
    return max(part.least, 1.0) if isinstance(test, Share) else 1.0


def _measures(test: object) -> list[str]:
    return [name for field in ("measure", "of") if (name := getattr(test, field, None)) is not None]
