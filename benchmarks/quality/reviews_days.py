"""The detectors' own code over counts of vendors and days, as arrays: what the engine's tests do, without its hours,
markets and calibration; and the busiest reviewer, for which the engine has no test yet.

A window of several days is scored daily and learned once in its length. What peers do is one rate for all: of the
last 90 days. Reviews by the same account within a quarter of an hour are one.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from reviews_alarms import Scores, ordered
from reviews_peers import QUARTER, Days, sliding
from reviews_plant import DAY, Reviews

from detectors.base import Observation, Score, observe
from detectors.beta_binomial import BetaBinomialTail
from detectors.concentration import Concentration
from detectors.negative_binomial import NegativeBinomialTail
from detectors.sketch import ActorSketch, Concentrated

WINDOWS = (1, 3, 7, 30)  # days
PEERS = 90  # days of which the peers' rate is
LEAST, LEAST_OF = 3, 4  # of what is counted, and of all
MEMORY = 90.0  # half-life, days


def scores(reviews: Reviews, vendors: int) -> dict[str, Scores]:
    """By test; those of `low` and `ring` are of the signals of that name."""
    days = Days(reviews, vendors)
    out = {}
    for size in WINDOWS:
        memory = max(MEMORY / size, 3.0)
        share = BetaBinomialTail(memory=memory, concentration_max=1_000.0)
        count = NegativeBinomialTail(memory=memory, prior_strength=0.4)
        out[f"low.share_{size}d"] = _shares(days, days.low, size, share)
        out[f"ring.share_{size}d"] = _shares(days, days.repeats, size, share)
        out[f"low.count_{size}d"] = _counts(days, days.low, size, count)
        out[f"ring.count_{size}d"] = _counts(days, days.repeats, size, count)
    return out | _busiest(once(reviews), vendors)


def _shares(days: Days, hits: np.ndarray, size: int, spec: BetaBinomialTail) -> Scores:
    value, trials = sliding(hits, size), sliding(days.reviews, size)

    def look(day: int) -> Observation:
        past = slice(max(day - PEERS, 0), day)
        peers = (hits[past].sum() + 4.0) / (days.reviews[past].sum() + 100.0)
        n = trials[day]
        return observe(np.where(n > 0, value[day], np.nan), exposure=n, expected=n * peers, learn=day % size == 0)

    return _run(days, spec, look, (value >= LEAST) & (trials >= LEAST_OF))


def _counts(days: Days, hits: np.ndarray, size: int, spec: NegativeBinomialTail) -> Scores:
    value, alive = sliding(hits, size), days.alive()
    known = np.cumsum(np.cumsum(days.reviews, axis=0) > 0, axis=0) > size

    def look(day: int) -> Observation:
        past = slice(max(day - PEERS, 0), day)
        peers = max(hits[past].sum() / max(alive[past].sum(), 1), 0.001)
        seen = known[day] & alive[day]
        return observe(np.where(seen, value[day], np.nan), expected=size * peers, learn=day % size == 0)

    return _run(days, spec, look, value >= LEAST)


def _run(days: Days, spec: Any, look: Callable[[int], Observation], fit: np.ndarray) -> Scores:
    state, found = spec.init(days.shape[1]), np.zeros(days.shape)
    for day in range(days.shape[0]):
        state, score = spec.step(state, look(day))
        found[day] = np.nan_to_num(score.score)
    day, vendor = np.nonzero(fit & (found >= 1.0))
    return ordered(Scores((day + 1 + days.first) * DAY, vendor, found[day, vendor]))


def once(reviews: Reviews) -> Reviews:
    """Without those that come within a quarter of an hour after the same account's last one of the vendor."""
    key = reviews.vendor * 100_000_000 + reviews.reviewer
    order = np.lexsort((reviews.time, key))
    double = (key[order][1:] == key[order][:-1]) & (np.diff(reviews.time[order]) < QUARTER)
    keep = np.ones(len(key), dtype=bool)
    keep[order[1:]] = ~double
    return Reviews(*(a[keep] for a in reviews))


def _busiest(reviews: Reviews, vendors: int) -> dict[str, Scores]:
    specs = {size: Concentration() for size in WINDOWS}
    states = {size: spec.init(vendors) for size, spec in specs.items()}
    parts: dict[int, list[Scores]] = {size: [] for size in WINDOWS}
    for day, size, read in _sketches(reviews, vendors):
        usual = 1.0 + read.events * ((read.top - 1).clip(0).sum() / max(read.events.sum(), 1))
        value = np.where(read.events > 1, read.top, np.nan)
        x = observe(value, exposure=read.events, expected=usual, learn=day % size == 0)
        states[size], score = specs[size].step(states[size], x)
        parts[size].append(_high(score, read, day))
    return {f"ring.top_{size}d": ordered(Scores(*(np.concatenate(c) for c in zip(*mine, strict=True))))
            for size, mine in parts.items()}  # fmt: skip


def _high(score: Score, read: Concentrated, day: int) -> Scores:
    some = np.flatnonzero((score.score >= 1.0) & (read.top >= LEAST) & (read.events >= LEAST_OF))
    return Scores(np.full(len(some), (day + 1) * DAY), some, score.score[some])


def _sketches(reviews: Reviews, vendors: int) -> Iterator[tuple[int, int, Concentrated]]:
    """(day, window, what the sketches of its days say together)."""
    sketch, day = ActorSketch(), reviews.time // DAY
    edges = np.searchsorted(day, np.arange(day[0], day[-1] + 2))
    panes = []
    for at, (a, b) in enumerate(pairwise(edges)):
        merged = sketch.init(vendors)
        sketch.add(merged, reviews.vendor[a:b], reviews.reviewer[a:b])
        panes = [*panes[1 - max(WINDOWS) :], merged]
        for back in range(1, max(WINDOWS) + 1):
            if back in WINDOWS:
                yield int(day[0]) + at, back, sketch.read(merged, np.arange(vendors))
            if back < len(panes):
                merged = sketch.merge(panes[-1 - back], merged)
