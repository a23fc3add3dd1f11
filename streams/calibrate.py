"""Which thresholds share out a budget of false alarms: how often each signal would speak at each of them.

The engine runs over a recording with its decisions untouched, and every score that comes near a threshold is written
down. Then each signal's thresholds are moved together, by one offset, until all signals' false alarms together are
within the budget: with labels where they find most, without labels evenly. A recording without labels is taken to have
no episodes: what would be said of it is false.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from config.schema import Catalogue, Severity
from streams.columns import Record
from streams.engine import Engine
from streams.judging import Judge, Read
from streams.plan import Probe
from streams.policy import Reading, thresholds
from streams.pseudonyms import Pseudonyms
from streams.recording import TOPIC
from streams.replay import replay
from streams.rulebook import Rulebook, looser
from streams.scorecard import COVERED, GRACE_MS, LOOKALIKE, Label
from streams.ticks import Tick

LOWEST, HIGHEST, STEP = -1.5, 3.0, 0.1  # offsets that are tried, in the score's unit
APART_MS = 2 * 86_400_000  # scores of one creator further apart than this would be two alerts
SCORE_MIN, EFFECT_MIN = 1.2, 1.5  # what is written down
HALF = 0.5  # of a false alarm: what is added to a count that may be 0 by luck
OFFSETS = np.round(np.arange(HIGHEST, LOWEST - STEP / 2, -STEP), 1)  # strictest first
NOW = OFFSETS.tolist().index(0.0)

Key = tuple[str, str, str]  # signal, creator, market
Heard = dict[Key, list[tuple[int, float]]]  # (ms, score over its threshold), in order of time


class _ListeningJudge(Judge):
    """Reads as ever, and writes down how near to its threshold every score came."""

    heard: Heard

    def reading(self, probe: Probe, reads: list[Read], i: int, slot: int, end: int) -> Reading:
        reading = super().reading(probe, reads, i, slot, end)
        if reading.margin >= LOWEST:
            creator, market, _ = self.whose(slot)
            self.heard.setdefault((self.plan.names[probe.signal], creator, market), []).append((end, reading.margin))
        return reading


class Listener(Engine):
    """An engine that decides as ever, with a judge that listens."""

    def __init__(self, catalogue: Catalogue, topic: str, partition: int, heard: Heard) -> None:
        self.heard = heard
        super().__init__(catalogue, topic, partition, Pseudonyms(bytes(32)))  # its alerts are thrown away
        relaxed_too = Rulebook(relaxed(catalogue), self.plan.names).loosest
        self.rules.loosest = [looser(*pair) for pair in zip(self.rules.loosest, relaxed_too, strict=True)]
        self.plan.loosen(self.rules.loosest)

    def _judge_of(self) -> Judge:
        judge = _ListeningJudge(self.plan, self.rules, self.writer.whose, self.counts)
        judge.heard = self.heard
        return judge


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


def listen(
    entries: Iterable[tuple[int, Record | Tick]], catalogue: Catalogue, topic: str = TOPIC,
    progress: Callable[[int], None] = lambda records: None,
) -> Listened:  # fmt: skip
    """Replay these entries, (partition, record or tick), each partition in order, and listen."""
    heard: Heard = {}

    def engine(catalogue: Catalogue, topic: str, partition: int) -> Engine:
        return Listener(catalogue, topic, partition, heard)

    told = replay(entries, catalogue, topic=topic, close=True, progress=progress, engine=engine)
    return Listened({key: sorted(rows) for key, rows in sorted(heard.items())}, told.creators * told.days)


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
    for (heard, _), given in runs:
        labels = [label for label in given if label.kind != COVERED]
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


def share_out(c: Curves, budget: float, still: Collection[str] = ()) -> list[int]:
    """For each signal the index of its offset, so that false alarms per 1,000 creator-days are within the budget.

    Signals that are `still` keep their thresholds, and so do all where the recording shows nothing.
    """
    if c.creator_days <= 0.0:
        return [NOW] * len(c.signals)
    at = [NOW if name in still else 0 for name in c.signals]
    moves = [s for s, name in enumerate(c.signals) if name not in still]
    allowed = budget * c.creator_days / 1_000.0
    while (step := _next(c, at, moves, allowed)) is not None:
        at[step[0]] = step[1]
    for s in moves:  # nor is a threshold higher than false alarms are a reason for
        at[s] += sum(int(false == c.false[s, at[s]]) for false in c.false[s, at[s] + 1 : NOW + 1])
    return at


def spent(c: Curves, at: Sequence[int]) -> float:
    """False alarms per 1,000 creator-days at these offsets."""
    return sum(int(c.false[s, i]) for s, i in enumerate(at)) * 1_000.0 / max(c.creator_days, 1e-9)


def _next(c: Curves, at: list[int], moves: list[int], allowed: float) -> tuple[int, int] | None:
    """The step that finds most for its false alarms; where nothing is to be found, the signal that has fewest."""
    now = sum(int(c.false[s, i]) for s, i in enumerate(at))
    found = np.zeros(c.catches.shape[2], dtype=np.bool_)
    for s, i in enumerate(at):
        found |= c.catches[s, i]
    best: tuple[float, int, int] | None = None
    for s in moves:
        for j in range(at[s] + 1, len(OFFSETS)):
            more = int(c.false[s, j] - c.false[s, at[s]])
            if more and now + more > allowed:
                break
            gain = int((c.catches[s, j] & ~found).sum()) if len(found) else 1
            worth = gain / (more + HALF) if len(found) else -float(c.false[s, j])
            if gain and (best is None or worth > best[0]):
                best = (worth, s, j)
            if not len(found):
                break
    return None if best is None else (best[1], best[2])
