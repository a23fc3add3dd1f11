"""Real reviews as arrays, and the episodes that are planted among them.

A fraudster's work is added to (or, for a drift, done to) the real reviews of a vendor. Sizes are relative to the
vendor's usual level, `a` reviews a day over the 60 days before, with an absolute minimum; a third of the episodes are
weak, a third middle, a third strong:

- `ring`: a few new accounts (one for each six reviews, 3 or more) review one vendor over 2 to 10 days; seven rings in
  ten praise (5 stars), the others damn (1 star). A quarter, half or all of what the vendor usually has in those days;
  at least 6, 12 or 24 reviews.
- `ring_many`: new accounts (a fortieth, twentieth or tenth of a vendor's reviews of those days; at least 4, 6 or 8)
  review each of 3 to 5 vendors over 3 to 10 days with 5 stars, 1 or 2 times, twice or three times each. Each vendor is
  an episode.
- `burst_praise`: new accounts, one review each, 5 stars, within 2 to 48 hours. The reviews of 1, 2 or 4 days; at least
  6, 12 or 24.
- `burst_low`: the same with 1 star. A quarter, half or a whole day's reviews; at least 4, 8 or 16.
- `drift_low`: over 4 to 8 weeks reviews lose their stars: each becomes a 1-star review with a probability that rises
  evenly from 0 to 10, 20 or 40 %. At least 4, 8 or 16: what is missing is added, more and more of it.

An episode lasts from its first planted event to its last. Vendors have at least 10 reviews in the 60 days before and
one in the 14 days before, and at most one episode in 75 days. Everything follows from the seed.
"""

import bz2
import csv
import io
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np

DAY = 86_400_000
HOUR = 3_600_000
KINDS = ("ring", "ring_many", "burst_praise", "burst_low", "drift_low")
STRENGTHS = ("weak", "middle", "strong")
BEFORE, APART = 60 * DAY, 75 * DAY
NEW = 10_000_000  # ids of planted accounts begin here


class Reviews(NamedTuple):
    """Events in order of time."""

    time: np.ndarray  # (n,) int64 ms
    vendor: np.ndarray  # (n,) int64
    reviewer: np.ndarray  # (n,) int64
    stars: np.ndarray  # (n,) int64, 1 to 5

    def between(self, start: int, end: int) -> "Reviews":
        some = (self.time >= start) & (self.time < end)
        return Reviews(*(a[some] for a in self))


class Planted(NamedTuple):
    vendor: int
    kind: str
    strength: int
    start: int  # ms, its first event
    end: int  # ms, its last event
    n: int  # events added or changed
    level: float  # the vendor's reviews a day before


def read(folder: Path) -> Reviews:
    """The real reviews. The few with 0 stars get 1, the least that the event contract knows."""
    text = bz2.decompress((folder / "anonreviews.csv.bz2").read_bytes()).decode()
    rows = list(csv.reader(io.StringIO(text)))[1:]
    who = np.array([row[:3] for row in rows], dtype=np.int64)
    time = np.array([row[3].replace(" ", "T") for row in rows], dtype="datetime64[ms]").astype(np.int64)
    order = np.argsort(time, kind="stable")
    return Reviews(time[order], who[order, 1], who[order, 0], np.clip(who[order, 2], 1, 5))


def merged(parts: list[Reviews]) -> Reviews:
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Reviews(*(a[order] for a in columns))


def plant(real: Reviews, seed: int, start: int, end: int, each: int = 24) -> tuple[Reviews, list[Planted]]:
    """`each` episodes of every kind, begun between start and end."""
    planter = _Planter(real, np.random.default_rng(seed), start, end)
    for kind in KINDS:
        done = turn = 0
        while done < each:
            planted = planter.one(kind, turn % 3)
            done, turn = done + planted, turn + (planted > 0)
    return merged([real._replace(stars=planter.stars), *planter.added]), planter.episodes


class _Planter:
    def __init__(self, real: Reviews, rng: np.random.Generator, start: int, end: int) -> None:
        self.real, self.rng, self.start, self.end = real, rng, start, end
        self.stars = real.stars.copy()
        self.added: list[Reviews] = []
        self.episodes: list[Planted] = []
        self.accounts = NEW
        order = np.argsort(real.vendor, kind="stable")
        first = np.searchsorted(real.vendor[order], np.arange(real.vendor.max() + 2))
        self.rows = [order[a:b] for a, b in itertools.pairwise(first)]  # of each vendor, in time

    def one(self, kind: str, strength: int) -> int:
        """Plant an episode of this kind (a ring of many vendors: several); returns how many."""
        begin = int(self.rng.integers(self.start, self.end))
        vendors = self._free(begin)
        many = int(self.rng.integers(3, 6)) if kind == "ring_many" else 1
        if len(vendors) < many:
            return 0
        chosen = [int(v) for v in self.rng.choice(vendors, many, replace=False)]
        if kind == "ring_many":
            self._ring_many(chosen, begin, strength)
        elif kind == "ring":
            self._ring(chosen[0], begin, strength)
        elif kind == "drift_low":
            self._drift(chosen[0], begin, strength)
        else:
            self._burst(chosen[0], begin, strength, kind)
        return many

    def _free(self, begin: int) -> np.ndarray:
        busy = {e.vendor for e in self.episodes if abs(e.start - begin) < APART}
        fit = [v for v in range(len(self.rows)) if v not in busy and self._count(v, begin - BEFORE, begin) >= 10]
        return np.array([v for v in fit if self._count(v, begin - 14 * DAY, begin) > 0], dtype=np.int64)

    def _count(self, vendor: int, start: int, end: int) -> int:
        a, b = np.searchsorted(self.real.time[self.rows[vendor]], (start, end))
        return int(b - a)

    def _level(self, vendor: int, begin: int) -> float:
        return self._count(vendor, begin - BEFORE, begin) / (BEFORE / DAY)

    def _new(self, n: int) -> np.ndarray:
        self.accounts += n
        return np.arange(self.accounts - n, self.accounts)

    def _times(self, begin: int, span: int, n: int) -> np.ndarray:
        """Days at random, hours as people have them; the first is the beginning."""
        day = begin + self.rng.integers(0, max(span - DAY, 1), n) // DAY * DAY
        hour = self.real.time[self.rng.integers(0, len(self.real.time), n)] % DAY
        return np.maximum(day - day % DAY + hour, begin)

    def _add(self, vendor: int, time: np.ndarray, who: np.ndarray, stars: np.ndarray) -> None:
        self.added.append(Reviews(time.astype(np.int64), np.full(len(time), vendor), who, stars))

    def _note(self, vendor: int, kind: str, strength: int, time: np.ndarray, begin: int) -> None:
        level = self._level(vendor, begin)
        self.episodes.append(Planted(vendor, kind, strength, int(time.min()), int(time.max()), len(time), level))

    def _ring(self, vendor: int, begin: int, strength: int) -> None:
        span = int(self.rng.uniform(2, 10) * DAY)
        usual = self._level(vendor, begin) * span / DAY
        n = max((6, 12, 24)[strength], round((0.25, 0.5, 1.0)[strength] * usual))
        time = self._times(begin, span, n)
        who = self.rng.choice(self._new(max(3, -(-n // 6))), n)
        self._add(vendor, time, who, np.full(n, 5 if self.rng.random() < 0.7 else 1))
        self._note(vendor, "ring", strength, time, begin)

    def _ring_many(self, vendors: list[int], begin: int, strength: int) -> None:
        span = int(self.rng.uniform(3, 10) * DAY)
        usual = float(np.mean([self._level(v, begin) for v in vendors])) * span / DAY
        ring = self._new(max((4, 6, 8)[strength], round((0.025, 0.05, 0.1)[strength] * usual)))
        for vendor in vendors:
            times = self.rng.integers(1, 3, len(ring)) if strength == 0 else np.full(len(ring), strength + 1)
            who = np.repeat(ring, times)
            time = self._times(begin, span, len(who))
            self._add(vendor, time, who, np.full(len(who), 5))
            self._note(vendor, "ring_many", strength, time, begin)

    def _burst(self, vendor: int, begin: int, strength: int, kind: str) -> None:
        low = kind == "burst_low"
        least, days = ((4, 8, 16), (0.25, 0.5, 1.0)) if low else ((6, 12, 24), (1.0, 2.0, 4.0))
        n = max(least[strength], round(days[strength] * self._level(vendor, begin)))
        time = begin + self.rng.integers(0, int(self.rng.uniform(2, 48) * HOUR), n)
        self._add(vendor, time, self._new(n), np.full(n, 1 if low else 5))
        self._note(vendor, kind, strength, time, begin)

    def _drift(self, vendor: int, begin: int, strength: int) -> None:
        span = int(self.rng.uniform(28, 56) * DAY)
        mine = self.rows[vendor]
        a, b = np.searchsorted(self.real.time[mine], (begin, begin + span))
        mine = mine[a:b]
        ramp = (self.real.time[mine] - begin) / span * (0.1, 0.2, 0.4)[strength]
        turned = mine[self.rng.random(len(mine)) < ramp]
        self.stars[turned] = 1
        missing = max((4, 8, 16)[strength] - len(turned), 0)
        late = begin + (np.sqrt(self.rng.random(missing)) * span).astype(np.int64)
        self._add(vendor, late, self._new(missing), np.full(missing, 1))
        self._note(vendor, "drift_low", strength, np.concatenate([self.real.time[turned], late]), begin)
