"""The online rows of the Turing benchmark: a change is decided, dated and never touched again."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.base import observe
from detectors.bocpd import Bocpd
from detectors.broken_trend import BrokenTrend
from detectors.gaussian_focus import GaussianFocus

Floats = NDArray[np.float64]
CONFIRM = 5  # panes in a row that must say so before a change is decided


class Found(NamedTuple):
    changes: list[int]  # index of the first point of each new segment
    decided: list[int]  # index of the point at which each was decided
    scores: Floats  # (n,) of each point, when it was the newest
    dates: NDArray[np.int64]  # (n,) where the change would have been put then; -1 nowhere


def one(value: float, i: int) -> dict[str, object]:
    return {"value": [value], "expected": 0.0, "time": i}


def broken_trend(series: Floats, spec: BrokenTrend | None = None, confirm: int = CONFIRM) -> Found:
    """The default: a break is decided when it has been the better description for CONFIRM points in a row.

    Its start must be twice that many points old: before, the best start may be too new to be told from its neighbours.
    """
    spec = spec or BrokenTrend()
    state, here, held = spec.init(1), np.array([True]), 0
    found = Found([], [], np.zeros(len(series)), np.full(len(series), -1))
    for i, value in enumerate(series):
        state, score = spec.step(state, observe(**one(value, i)))  # type: ignore[arg-type]
        found.scores[i] = score.score[0]
        held = held + 1 if score.score[0] > 0 else 0
        if held:
            found.dates[i] = spec.changed_at(state)[0]
        if held >= confirm and i - found.dates[i] >= 2 * confirm:
            found.changes.append(int(found.dates[i]))
            found.decided.append(i)
            state, held = spec.restart(state, here), 0
    return found


def gaussian_focus(series: Floats, spec: GaussianFocus | None = None) -> Found:
    """A change of mean is decided when its score passes 2 log(panes) nats; the panes since it are learned anew."""
    spec = spec or GaussianFocus()
    state = spec.init(1)
    found = Found([], [], np.zeros(len(series)), np.full(len(series), -1))
    for i, value in enumerate(series):
        state, score = spec.step(state, observe(**one(value, i)))  # type: ignore[arg-type]
        found.scores[i], found.dates[i] = score.score[0], spec.changed_at(state)[0]
        if score.score[0] > 2.0 * np.log(state.panes[0]):
            start = int(found.dates[i])
            found.changes.append(start)
            found.decided.append(i)
            state = spec.init(1)
            for j in range(start, i + 1):
                state, _ = spec.step(state, observe(**one(series[j], j)))  # type: ignore[arg-type]
    return found


def bocpd(series: Floats) -> Found:
    """Of a series that is standardised beforehand: a run is decided when it leads for CONFIRM points in a row."""
    spec = Bocpd(model="normal", run_mean=100.0, runs=64)
    state, held, led = spec.init(1), 0, -1
    found = Found([], [], np.zeros(len(series)), np.full(len(series), -1))
    for i, value in enumerate(series):
        state, score = spec.step(state, observe(**one(value, i)))  # type: ignore[arg-type]
        found.scores[i], found.dates[i] = score.score[0], spec.changed_at(state)[0]
        held, led = (held + 1 if found.dates[i] == led else 1), int(found.dates[i])
        if held == CONFIRM and led > max(found.changes, default=0):
            found.changes.append(led)
            found.decided.append(i)
    return found
