"""From scores to alerts, recall and false alarms, for any detector alike; and the best thresholds for a budget.

An alert of a signal opens when a vendor's score reaches the threshold and had not in the REST before. It catches an
episode of that vendor if it opens between the episode's first event and LATE after its last. For another VOID the
planted events are still in long windows: alerts that open then are neither right nor false. All others are false.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from reviews_plant import DAY, Planted

REST, LATE, VOID = 7 * DAY, 2 * DAY, 30 * DAY
LEVELS = 60  # thresholds that are tried of each signal
Thresholds = dict[str, float]


class Scores(NamedTuple):
    """Scores of one signal."""

    time: np.ndarray  # (k,) int64 ms, when the score stood
    vendor: np.ndarray  # (k,) int64
    score: np.ndarray  # (k,) float64


class Run(NamedTuple):
    """One background with what was planted in it (nothing: the null run) and what was scored."""

    episodes: list[Planted]
    vendor_days: int
    signals: dict[str, Scores]


class Judged(NamedTuple):
    """One signal at one threshold."""

    false: int
    delay: np.ndarray  # (episodes of all runs,) int64 ms to the end of the first right window; -1 missed


def ordered(scores: Scores) -> Scores:
    order = np.lexsort((scores.time, scores.vendor))
    return Scores(*(a[order] for a in scores))


def opened(scores: Scores, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """(time, vendor) of the alerts. Scores are in order of vendor and time."""
    over = scores.score >= threshold
    time, vendor = scores.time[over], scores.vendor[over]
    new = np.ones(len(time), dtype=bool)
    new[1:] = (vendor[1:] != vendor[:-1]) | (time[1:] - time[:-1] > REST)
    return time[new], vendor[new]


def judge(runs: Sequence[Run], signal: str, threshold: float) -> Judged:
    false, delays = 0, []
    for run in runs:
        time, vendor = opened(run.signals[signal], threshold)
        wrong = np.ones(len(time), dtype=bool)
        for episode in run.episodes:
            mine = (vendor == episode.vendor) & (time >= episode.start)
            wrong &= ~(mine & (time <= episode.end + LATE + VOID))
            right = time[mine & (time <= episode.end + LATE)]
            delays.append(int(right.min()) - episode.start if len(right) else -1)
        false += int(wrong.sum())
    return Judged(false, np.array(delays, dtype=np.int64))


def together(judged: Sequence[Judged]) -> Judged:
    """All signals: each one's false alerts count; an episode is caught by the first that is right."""
    never = np.iinfo(np.int64).max
    delays = np.stack([np.where(j.delay < 0, never, j.delay) for j in judged]).min(axis=0)
    return Judged(sum(j.false for j in judged), np.where(delays == never, -1, delays))


def rate(runs: Sequence[Run], false: int) -> float:
    """False alerts in 1,000 vendor-days."""
    return 1_000.0 * false / sum(run.vendor_days for run in runs)


def tables(runs: Sequence[Run], signals: Sequence[str]) -> dict[str, list[tuple[float, Judged]]]:
    """By signal, what it finds at thresholds from the highest to the lowest."""
    out = {}
    for name in signals:
        scores = np.concatenate([run.signals[name].score for run in runs])
        top = np.sort(scores)[::-1]
        at = np.unique(np.geomspace(1, max(len(top), 1), LEVELS).astype(int)) - 1
        grid = sorted({float(t) for t in top[at]} if len(top) else set(), reverse=True)
        out[name] = [(np.inf, judge(runs, name, np.inf)), *((t, judge(runs, name, t)) for t in grid)]
    return out


def best(runs: Sequence[Run], signals: Sequence[str], budget: float) -> Thresholds:
    """The thresholds with the highest recall within the budget: greedy steps, then exchanges between signals."""
    table = tables(runs, signals)
    room = budget * sum(run.vendor_days for run in runs) / 1_000.0
    place = dict.fromkeys(signals, 0)
    while (step := _step(table, place, room)) is not None:
        place = step
    for _ in range(3):  # let one signal go back, and see whether the others use its room better
        for name in signals:
            for lower in range(place[name]):
                trial = place | {name: lower}
                while (step := _step(table, trial, room)) is not None:
                    trial = step
                if _value(table, trial) > _value(table, place):
                    place = trial
                    break
    return {name: table[name][place[name]][0] for name in signals}


def _value(table: Mapping[str, list[tuple[float, Judged]]], place: Mapping[str, int]) -> tuple[int, int]:
    all_of = together([table[name][at][1] for name, at in place.items()])
    return int((all_of.delay >= 0).sum()), -all_of.false


def _step(
    table: Mapping[str, list[tuple[float, Judged]]], place: dict[str, int], room: float
) -> dict[str, int] | None:
    """The lower threshold that catches most more for each false alert more, if there is room for any."""
    caught, false = _value(table, place)
    winner, won = None, 0.0
    for name, at in place.items():
        for lower in range(at + 1, len(table[name])):
            trial = place | {name: lower}
            more, spent = _value(table, trial)
            if -spent > room:
                break
            worth = (more - caught) / (false - spent + 0.5)
            if worth > won:
                winner, won = trial, worth
    return winner


def fitted(runs: Sequence[Run], thresholds: Thresholds, budget: float) -> tuple[Thresholds, Judged]:
    """The thresholds, all multiplied by the least factor at which the false alerts keep within the budget."""
    low, high = 0.3, 8.0
    for _ in range(14):
        middle = (low * high) ** 0.5
        false = together([judge(runs, n, t * middle) for n, t in thresholds.items()]).false
        low, high = (low, middle) if rate(runs, false) <= budget else (middle, high)
    scaled = {n: t * high for n, t in thresholds.items()}
    return scaled, together([judge(runs, n, t) for n, t in scaled.items()])
