"""What the types can't say of a signal: whether its parts make sense together. Each mistake is a Problem."""

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from config.checks_policy import change_problems, reference_problems, severity_problems
from config.documents import At
from config.problems import Problem, one_of, shown
from config.schema import (
    Condition,
    EngineSettings,
    Events,
    Measure,
    Outcome,
    Range,
    Ratio,
    Repeat,
    Sequence,
    Series,
    Share,
    Signal,
    Volume,
    millis,
)

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
WINDOW_DAYS_MAX = 90
LATENESS_MAX = DAY_MS
NAME = re.compile("[a-z][a-z0-9_]{1,47}")
AnyTest = Volume | Outcome | Share | Ratio | Series | Repeat | Sequence


class Around(NamedTuple):
    """What a file can refer to. What could not be read is None, and nothing is said about it."""

    engine: EngineSettings | None
    signals: Collection[str]
    markets: Collection[str]
    groups: Collection[str]
    delays: Collection[str] | None  # event types that default.yaml has a delay for
    tests: Mapping[str, Signal]  # the signals that could be read


def signal_problems(signal: Signal, around: Around) -> Iterator[Problem]:
    for name, measure in signal.measures.items():
        yield from measure_problems(("measures", name), name, measure, signal)
    for i, test in enumerate(signal.tests):
        yield from test_problems(("tests", i), test, signal, around)
    yield from _require_problems(signal)
    yield from _lateness_problems(signal, around.engine)
    for i, override in enumerate(signal.overrides):
        at: At = ("overrides", i)
        yield from change_problems(at, override, signal.tests)
        yield from reference_problems((*at, "markets"), override.markets, around.markets, "a market of markets/")
        yield from reference_problems((*at, "groups"), override.groups, around.groups, "a group of groups/")
    if not signal.labels.get("runbook", "").strip():
        yield Problem(("labels",), "'runbook' is missing; expected the name of a page in docs/runbooks/")


def _lateness_problems(signal: Signal, engine: EngineSettings | None) -> Iterator[Problem]:
    at, said = ("lateness",), signal.lateness
    if said is None:
        return
    if any(isinstance(test, Repeat | Sequence) for test in signal.tests):
        yield Problem(at, f"{said!r}; expected none: rules count their events whenever they come")
    elif not 0 < millis(said) <= LATENESS_MAX:
        yield Problem(at, f"{said!r}; expected more than nothing and at most 24h")
    elif engine is not None and millis(said) % millis(engine.pane):
        yield Problem(at, f"{said!r}; expected a multiple of engine.yaml's pane, {engine.pane}")


# ---- measures ----------------------------------------------------------------------------------------------


def measure_problems(at: At, name: str, measure: Measure, signal: Signal) -> Iterator[Problem]:
    linked = [part for part in ("once", "again", "follows", "after") if getattr(measure, part) is not None]
    if len(linked) > 1:
        yield Problem(at, f"has {' and '.join(linked)}; expected one of them at most")
    others = [part for part in ("sum", "live", *linked) if getattr(measure, part) is not None]
    if measure.undone_by and others:
        why = "an event that was not counted can't be taken back"
        yield Problem((*at, "undone_by"), f"stands with {others[0]!r}; expected it alone: {why}")
    if measure.unless and measure.after is None:
        yield Problem((*at, "unless"), "stands without 'after'; expected both, or neither")
    if measure.sum is not None and measure.sum.less is not None and measure.sum.of == "amount":
        yield Problem((*at, "sum", "less"), "can't be taken off an amount; expected it only with an attribute in 'of'")
    yield from _follows_problems(at, name, measure, signal)
    yield from _range_problems((*at, "where"), measure.where)
    for i, events in enumerate(measure.events):
        if isinstance(events, Events):
            yield from _range_problems((*at, "events", i, "where"), events.where)


def _follows_problems(at: At, name: str, measure: Measure, signal: Signal) -> Iterator[Problem]:
    at, seen, follows = (*at, "follows", "measure"), [name], measure.follows
    while follows is not None:  # along the chain, until it ends, leads nowhere or comes back
        if follows.measure in seen:
            if follows.measure == name:
                yield Problem(at, f"{name!r} follows itself; expected a measure that does not")
            return
        if follows.measure not in signal.measures:
            if len(seen) == 1:
                yield _no_measure(at, follows.measure, signal)
            return
        seen.append(follows.measure)
        follows = signal.measures[follows.measure].follows


def _no_measure(at: At, name: str, signal: Signal) -> Problem:
    return Problem(at, f"{shown(name)} is not a measure of this signal; {one_of(name, signal.measures)}")


def _range_problems(at: At, where: dict[str, Condition]) -> Iterator[Problem]:
    for key, condition in where.items():
        if isinstance(condition, list) and not condition:
            yield Problem((*at, key), "is an empty list; expected at least one value")
        if not isinstance(condition, Range):
            continue
        if condition.min is None and condition.max is None:
            yield Problem((*at, key), "has no bound; expected min, max or both")
        elif condition.min is not None and condition.max is not None and condition.min > condition.max:
            yield Problem((*at, key), f"min {condition.min:g} is over max {condition.max:g}; expected it under")


# ---- tests -------------------------------------------------------------------------------------------------


def test_problems(at: At, test: AnyTest, signal: Signal, around: Around) -> Iterator[Problem]:
    for i, text in enumerate(test.windows):
        for why in window_faults(text, around.engine):
            yield Problem((*at, "windows", i), f"{text!r}: {why}")
    yield from _windows_problems((*at, "windows"), test)
    yield from severity_problems((*at, "severity"), test.severity)
    for field in ("measure", "of"):
        name = getattr(test, field, None)
        if name is not None and name not in signal.measures:
            yield _no_measure((*at, field), name, signal)
    if isinstance(test, Outcome | Share | Ratio) or (isinstance(test, Series) and test.of is not None):
        yield from _pair_problems(at, test, signal)
    if isinstance(test, Outcome | Series) and test.of is not None and test.measure in signal.measures:
        yield from _delay_problems((*at, "measure"), signal.measures[test.measure], around.delays)
    if isinstance(test, Volume) and test.newcomers and millis(test.newcomers) > WINDOW_DAYS_MAX * DAY_MS:
        yield Problem((*at, "newcomers"), f"{test.newcomers!r}; expected at most {WINDOW_DAYS_MAX}d")
    if isinstance(test, Sequence):
        yield from _step_problems(at, test)


def window_faults(text: str, engine: EngineSettings | None) -> Iterator[str]:
    """
    >>> list(window_faults("100d by 7m", EngineSettings()))[0]
    'expected a size that is a whole number of hops'
    """
    size, hop = (millis(part) for part in text.split(" by "))
    if size % hop:
        yield "expected a size that is a whole number of hops"
    if engine is not None and hop % millis(engine.pane):
        yield f"expected a hop that is a whole number of panes ({engine.pane}, engine.yaml)"
    if size > WINDOW_DAYS_MAX * DAY_MS:
        yield f"expected a size of at most {WINDOW_DAYS_MAX}d"


def _windows_problems(at: At, test: AnyTest) -> Iterator[Problem]:
    if len(set(test.windows)) < len(test.windows):
        yield Problem(at, "one stands twice; expected each once")
    if isinstance(test, Series | Repeat | Sequence) and len(test.windows) > 1:
        yield Problem(at, f"a {type(test).__name__.lower()} has one window; expected one, got {len(test.windows)}")
    if isinstance(test, Repeat | Sequence):
        return
    if isinstance(test, Series):
        size, hop = test.windows[0].split(" by ")
        if millis(size) != millis(hop):
            yield Problem((*at, 0), f"{test.windows[0]!r}: a series goes pane by pane; expected '{hop} by {hop}'")
    hops = sorted({millis(text.split(" by ")[1]) for text in test.windows})
    if any(hop % hops[0] for hop in hops) or HOUR_MS % hops[0]:
        yield Problem(at, "expected a shortest hop that divides an hour and all other hops")


def _pair_problems(at: At, test: Outcome | Share | Ratio | Series, signal: Signal) -> Iterator[Problem]:
    """What is divided must be of the same kind: events by events, money by money."""
    if test.measure == test.of:
        yield Problem((*at, "of"), f"{test.of!r} is the measure itself; expected another one")
        return
    one, other = signal.measures.get(test.measure), signal.measures.get(str(test.of))
    if one is None or other is None or (one.sum is None and other.sum is None):
        return
    kind = type(test).__name__.lower()
    if one.sum is None or other.sum is None:
        if not (isinstance(test, Ratio) and other.sum is None):  # an amount for each click is a ratio
            yield Problem(at, f"one of measure and of is a sum; expected both or neither to be one in a test {kind!r}")
    elif (one.sum.of == "amount") != (other.sum.of == "amount"):
        yield Problem(at, "measure and of add up different things; expected an amount in both or in neither")
    elif isinstance(test, Share) and one.sum.per != other.sum.per:  # else the part could be more than the whole
        yield Problem(at, f"measure adds up per {one.sum.per:g}, of per {other.sum.per:g}; expected the same")


def _delay_problems(at: At, measure: Measure, delays: Collection[str] | None) -> Iterator[Problem]:
    first = measure.events[0]
    event = first.type if isinstance(first, Events) else first
    if delays is not None and event not in delays:
        yield Problem(at, f"markets/default.yaml has no delay for {event!r}; expected one in its $.delays")


def _step_problems(at: At, test: Sequence) -> Iterator[Problem]:
    names = [step.name for step in test.steps]
    for i, step in enumerate(test.steps):
        yield from _range_problems((*at, "steps", i, "where"), step.where)
        if step.name in names[:i]:
            yield Problem((*at, "steps", i, "name"), f"{step.name!r} stands twice; expected a name for each step")


def _require_problems(signal: Signal) -> Iterator[Problem]:
    if signal.require != "all":
        return
    if any(isinstance(test, Series | Repeat | Sequence) for test in signal.tests):
        yield Problem(("require",), "'all'; expected only volume, outcome, share and ratio tests with it")
    if any(one.windows != other.windows for one, other in pairwise(signal.tests)):
        yield Problem(("require",), "'all'; expected the same windows in every test")
