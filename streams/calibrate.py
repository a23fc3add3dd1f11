"""Which thresholds share out a budget of false alarms: how often each signal would speak at each of them.

The engine runs over a recording with its decisions untouched, and every score that comes near a threshold is written
down. Then each signal's thresholds are moved together, by one offset, until all signals' false alarms together are
within the budget: with labels where they find most, without labels evenly. A recording without labels is taken to have
no episodes: what would be said of it is false.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from config.schema import Catalogue, Severity
from streams.columns import Record
from streams.engine import Engine
from streams.plan import Probe
from streams.policy import Reading, thresholds, window_thresholds
from streams.rates import RateWatch
from streams.recording import TOPIC
from streams.rulebook import Rulebook
from streams.scorecard import GRACE_MS, LOOKALIKE, Label
from streams.shard import obey
from streams.ticks import Tick

LOWEST, HIGHEST, STEP = -1.5, 3.0, 0.1  # offsets that are tried, in the score's unit
APART_MS = 2 * 86_400_000  # scores of one creator further apart than this would be two alerts
SCORE_MIN, EFFECT_MIN = 1.2, 1.5  # what is written down
HALF = 0.5  # of a false alarm: what is added to a count that may be 0 by luck
RUN_RECORDS = 4_000
OFFSETS = np.round(np.arange(HIGHEST, LOWEST - STEP / 2, -STEP), 1)  # strictest first

Key = tuple[str, str, str]  # signal, creator, market
Heard = dict[Key, list[tuple[int, float]]]  # (ms, score over its threshold), in order of time


class Listener(Engine):
    """An engine that decides as ever, and writes down how near to its threshold every score came."""

    def __init__(self, catalogue: Catalogue, topic: str, partition: int, heard: Heard) -> None:
        super().__init__(catalogue, topic, partition)
        self.rules.loosest = Rulebook(relaxed(catalogue), self.plan.names).loosest
        self.plan.loosen(self.rules.loosest)
        self.heard = heard

    def _reading(self, probe: Probe, reads: list[Any], i: int, slot: int, end: int) -> Reading:
        creator, market, category = self.writer.whose(slot)
        policy = self.rules.of(probe.signal, creator, market, category, end)
        margin = float("inf")
        for test, read in zip(probe.tests, reads, strict=True):
            mine, watch = policy.tests[test], self.plan.watches[probe.signal][test]
            score, value, expected, exposure = (float(a[i]) for a in read[:4])
            if isinstance(watch, RateWatch):
                speaks = exposure >= mine.minimum_of and watch.worth_saying(value, expected, mine.minimum, mine.effect)
                mark = min(window_thresholds(mine.severity, probe.size))
            else:
                speaks, mark = value >= mine.minimum, min(thresholds(mine.severity))
            margin = min(margin, score - mark if speaks else float("-inf"))
        if margin >= LOWEST:
            self.heard.setdefault((self.plan.names[probe.signal], creator, market), []).append((end, margin))
        return super()._reading(probe, reads, i, slot, end)


def relaxed(catalogue: Catalogue) -> Catalogue:
    """The same with lower thresholds: what is scored at all."""
    replace, signals = msgspec.structs.replace, {}
    for name, signal in catalogue.signals.items():
        tests = [
            replace(test, severity=_lower(test.severity), effect=min(test.effect, EFFECT_MIN))
            if hasattr(test, "detector") else test
            for test in signal.tests
        ]  # fmt: skip
        signals[name] = replace(signal, tests=tests, overrides=[])
    markets = {code: replace(market, thresholds={}) for code, market in catalogue.markets.items()}
    return replace(catalogue, signals=signals, markets=markets)


def _lower(severity: Severity) -> Severity:
    return Severity(info=min(SCORE_MIN, *thresholds(severity)))


class Listened(NamedTuple):
    heard: Heard
    creator_days: float


def listen(entries: Iterable[tuple[int, Record | Tick]], catalogue: Catalogue, topic: str = TOPIC) -> Listened:
    """Run the engine over these entries, (partition, record or tick), each partition in order."""
    heard: Heard = {}
    shards: dict[int, Listener] = {}
    runs: dict[int, list[Record]] = defaultdict(list)
    for partition, entry in entries:
        if partition not in shards:
            shards[partition] = Listener(catalogue, topic, partition, heard)
        if isinstance(entry, Tick):
            shards[partition].feed(runs.pop(partition, []))
            obey(shards[partition], entry)
            continue
        runs[partition].append(entry)
        if len(runs[partition]) >= RUN_RECORDS:
            shards[partition].feed(runs.pop(partition))
    days = 0.0
    for partition, engine in shards.items():
        engine.feed(runs.pop(partition, []))
        engine.close()
        creators = {name[0] for name in engine.entities.slots}
        days += len(creators) * (engine.clock.closed - engine.started) / 86_400_000
    return Listened({key: sorted(rows) for key, rows in sorted(heard.items())}, days)


def counted(
    entries: Iterable[tuple[int, Record | Tick]], moved: Callable[[], None]
) -> Iterator[tuple[int, Record | Tick]]:
    """The same entries; now and then `moved` hears that some were read."""
    for n, entry in enumerate(entries):
        if n % RUN_RECORDS == 0:
            moved()
        yield entry


# ---- false alarms and catches at every offset ----------------------------------------------------------------


class Curves(NamedTuple):
    """What each signal does at each of OFFSETS."""

    signals: tuple[str, ...]
    false: np.ndarray  # (n_signals, n_offsets) alarms outside of episodes
    catches: np.ndarray  # (n_signals, n_offsets, n_episodes) bool
    creator_days: float


def curves(
    runs: Sequence[tuple[Listened, Sequence[Label]]], signals: Sequence[str], kinds: Mapping[str, Collection[str]]
) -> Curves:
    """From one or more recordings, each with the labels of what truly happened in it (none: nothing did)."""
    false = np.zeros((len(signals), len(OFFSETS)), dtype=np.int64)
    caught: list[np.ndarray] = []  # (n_signals, n_offsets) bool for each episode
    for (heard, _), labels in runs:
        mine: dict[tuple[str, str], list[Label]] = defaultdict(list)
        for label in labels:
            mine[label.creator_id, label.market].append(label)
        for (signal, creator, market), rows in heard.items():
            told = [x for x in mine[creator, market] if signal in kinds.get(x.kind, ())]
            for peak in _peaks([r for r in rows if not any(_within(r[0], x) for x in told)]):
                false[signals.index(signal)] += peak >= OFFSETS
        for label in (x for x in labels if not x.kind.startswith(LOOKALIKE)):
            caught.append(np.array([_catches(heard, label, s, kinds.get(label.kind, ())) for s in signals]))
    catches = np.stack(caught, axis=2) if caught else np.zeros((*false.shape, 0), dtype=np.bool_)
    return Curves(tuple(signals), false, catches, sum(listened.creator_days for listened, _ in runs))


def _within(time: int, label: Label) -> bool:
    return label.start_ms <= time <= label.end_ms + GRACE_MS


def _catches(heard: Heard, label: Label, signal: str, right: Collection[str]) -> np.ndarray:
    rows = heard.get((signal, label.creator_id, label.market), []) if signal in right else []
    best = max((margin for time, margin in rows if _within(time, label)), default=float("-inf"))
    return best >= OFFSETS


def _peaks(rows: list[tuple[int, float]]) -> list[float]:
    """The highest score of each would-be alert."""
    peaks: list[float] = []
    last = None
    for time, margin in rows:
        if last is None or time - last > APART_MS:
            peaks.append(margin)
        else:
            peaks[-1] = max(peaks[-1], margin)
        last = time
    return peaks


# ---- sharing out the budget ------------------------------------------------------------------------------------


def share_out(c: Curves, budget: float) -> list[int]:
    """For each signal the index of its offset, so that false alarms per 1,000 creator-days are within the budget."""
    at = [0] * len(c.signals)
    allowed = budget * c.creator_days / 1_000.0
    while (step := _next(c, at, allowed)) is not None:
        at[step[0]] = step[1]
    return at


def spent(c: Curves, at: Sequence[int]) -> float:
    """False alarms per 1,000 creator-days at these offsets."""
    return sum(int(c.false[s, i]) for s, i in enumerate(at)) * 1_000.0 / max(c.creator_days, 1e-9)


def _next(c: Curves, at: list[int], allowed: float) -> tuple[int, int] | None:
    """The step that finds most for its false alarms; where nothing is to be found, the signal that has fewest."""
    now = sum(int(c.false[s, i]) for s, i in enumerate(at))
    found = np.zeros(c.catches.shape[2], dtype=np.bool_)
    for s, i in enumerate(at):
        found |= c.catches[s, i]
    best: tuple[float, int, int] | None = None
    for s, i in enumerate(at):
        for j in range(i + 1, len(OFFSETS)):
            more = int(c.false[s, j] - c.false[s, i])
            if now + more > allowed:
                break
            gain = int((c.catches[s, j] & ~found).sum()) if len(found) else 1
            worth = gain / (more + HALF) if len(found) else -float(c.false[s, j])
            if gain and (best is None or worth > best[0]):
                best = (worth, s, j)
            if not len(found):
                break
    return None if best is None else (best[1], best[2])
