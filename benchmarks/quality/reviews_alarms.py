"""From scores to alerts, recall and false alarms, for any detector alike; and the best thresholds for a budget.

A signal has tests (a detector of a measure), each with a threshold of its own. Its alert of a vendor opens when any of
them reaches its threshold and none had in the REST before. It catches an episode of that vendor if it opens between
the episode's first event and LATE after its last. For another VOID the planted events are still in long windows:
alerts that open then are neither right nor false. All others are false, of each signal by itself.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from reviews_plant import DAY, Planted

REST, LATE, VOID = 7 * DAY, 2 * DAY, 30 * DAY
LEVELS = 40  # thresholds that are tried of each test
Thresholds = dict[str, float]  # by test, "signal.test"


class Scores(NamedTuple):
    """Scores of one test."""

    time: np.ndarray  # (k,) int64 ms, when the score stood
    vendor: np.ndarray  # (k,) int64
    score: np.ndarray  # (k,) float64


class Run(NamedTuple):
    """One background with what was planted in it (nothing: the null run) and what was scored."""

    episodes: list[Planted]
    vendor_days: int
    tests: dict[str, Scores]


class Judged(NamedTuple):
    """What some signals found, and how often they were wrong."""

    false: int
    delay: np.ndarray  # (episodes of all runs,) int64 ms to the end of the first right window; -1 missed


def ordered(scores: Scores) -> Scores:
    order = np.lexsort((scores.time, scores.vendor))
    return Scores(*(a[order] for a in scores))


def opened(parts: Sequence[tuple[Scores, float]]) -> tuple[np.ndarray, np.ndarray]:
    """(time, vendor) of the alerts of one signal: of its tests' scores and thresholds."""
    over = [(s.time[s.score >= t], s.vendor[s.score >= t]) for s, t in parts]
    time, vendor = (np.concatenate(column) for column in zip(*over, strict=True))
    order = np.lexsort((time, vendor))
    time, vendor = time[order], vendor[order]
    new = np.ones(len(time), dtype=bool)
    new[1:] = (vendor[1:] != vendor[:-1]) | (time[1:] - time[:-1] > REST)
    return time[new], vendor[new]


def judge_signal(runs: Sequence[Run], thresholds: Thresholds) -> Judged:
    """Of one signal's tests."""
    false, delays = 0, []
    for run in runs:
        time, vendor = opened([(run.tests[name], t) for name, t in thresholds.items()])
        wrong = np.ones(len(time), dtype=bool)
        for episode in run.episodes:
            a, b = np.searchsorted(vendor, (episode.vendor, episode.vendor + 1))
            since = time[a:b] - episode.start
            lasts = episode.end - episode.start + LATE
            wrong[a:b] &= (since < 0) | (since > lasts + VOID)
            right = since[(since >= 0) & (since <= lasts)]
            delays.append(int(right.min()) if len(right) else -1)
        false += int(wrong.sum())
    return Judged(false, np.array(delays, dtype=np.int64))


def together(judged: Sequence[Judged]) -> Judged:
    """All signals: each one's false alerts count; an episode is caught by the first that is right."""
    never = np.iinfo(np.int64).max
    delays = np.stack([np.where(j.delay < 0, never, j.delay) for j in judged]).min(axis=0)
    return Judged(sum(j.false for j in judged), np.where(delays == never, -1, delays))


def judge(runs: Sequence[Run], thresholds: Thresholds) -> Judged:
    signals = sorted({name.split(".")[0] for name in thresholds})
    own = [{n: t for n, t in thresholds.items() if n.split(".")[0] == signal} for signal in signals]
    return together([judge_signal(runs, mine) for mine in own])


def rate(runs: Sequence[Run], false: int) -> float:
    """False alerts in 1,000 vendor-days."""
    return 1_000.0 * false / sum(run.vendor_days for run in runs)


def fitted(runs: Sequence[Run], thresholds: Thresholds, budget: float) -> tuple[Thresholds, float]:
    """The thresholds, all multiplied by the least factor at which the false alerts keep within the budget."""
    low, high = 0.3, 8.0
    for _ in range(14):
        middle = (low * high) ** 0.5
        false = judge(runs, {n: t * middle for n, t in thresholds.items()}).false
        low, high = (low, middle) if rate(runs, false) <= budget else (middle, high)
    return {n: t * high for n, t in thresholds.items()}, high


# ---- the best thresholds --------------------------------------------------------------------------------------


def levels(runs: Sequence[Run], test: str) -> list[float]:
    """Thresholds worth trying, from never down: by rank among the highest scores of a vendor in a week."""
    highest = []
    for run in runs:
        s = run.tests[test]
        block = s.vendor * 100_000 + s.time // REST
        order = np.lexsort((s.score, block))
        last = np.append(np.diff(block[order]) != 0, True)[: len(order)]
        highest.append(s.score[order][last])
    top = np.sort(np.concatenate(highest))[::-1]
    room = min(len(top), 40 * len(runs) * LEVELS)
    at = np.unique(np.geomspace(4, max(room, 4), LEVELS).astype(int))
    return [np.inf, *sorted({float(top[i - 1]) for i in at if i <= len(top)}, reverse=True)]


def best(runs: Sequence[Run], tests: Sequence[str], budget: float) -> Thresholds:
    """The thresholds with the highest recall within the budget that a search finds: from several beginnings, one
    test up or down, or two against each other, until nothing gets better."""
    table = {name: levels(runs, name) for name in tests}
    room = budget * sum(run.vendor_days for run in runs) / 1_000.0
    signals = sorted({name.split(".")[0] for name in tests})
    members = {signal: [n for n in tests if n.split(".")[0] == signal] for signal in signals}

    @cache
    def of_signal(signal: str, places: tuple[int, ...]) -> Judged:
        return judge_signal(runs, {n: table[n][at] for n, at in zip(members[signal], places, strict=True)})

    def value(place: dict[str, int]) -> tuple[int, int]:
        each = [of_signal(s, tuple(place[n] for n in members[s])) for s in signals]
        false, caught = sum(j.false for j in each), np.any([j.delay >= 0 for j in each], axis=0)
        return (int(caught.sum()), -false) if false <= room else (-1, -false)

    alike = [at for at in range(LEVELS) if value({n: min(at, len(table[n]) - 1) for n in tests})[0] >= 0]
    starts = [{n: min(at, len(table[n]) - 1) for n in tests} for at in {0, alike[-1] // 2, alike[-1]}]
    won = max((_climb(start, table, value) for start in starts), key=value)
    return {n: table[n][at] for n, at in won.items()}


def _climb(place: dict[str, int], table: dict[str, list[float]], value: Callable[[dict[str, int]], tuple[int, int]]
           ) -> dict[str, int]:  # fmt: skip
    """Single steps until none helps, then one of two tests against each other, and so on."""
    singles = [{n: by} for n in table for by in (-6, -3, -2, -1, 1, 2, 3, 6)]
    pairs = [{n: -down, m: up} for n in table for m in table if n != m for down in (1, 3) for up in (1, 3)]
    reached, better = value(place), True
    while better:
        better = False
        for move in (*singles, *pairs):
            trial = place | {n: min(max(place[n] + by, 0), len(table[n]) - 1) for n, by in move.items()}
            if (now := value(trial)) > reached:
                place, reached, better = trial, now, True
            if better and len(move) == 2:
                break  # single steps first again
    return place
