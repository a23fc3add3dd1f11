"""Gaussian FOCuS: a lasting change of a measured quantity's mean, of any size and any length, scale learned online.

Sees: a level that moved and stayed (amounts, durations, rates), up, down or both, without choosing a size, and
when it moved. Misses: changes shorter than `shortest` panes, changes of variance or shape, a slow trend (it looks
like autocorrelation and is discounted). It never resets by itself: after an alert start it anew from the dated
pane, or the old level stays half of every comparison.

Formula: y = value - expected. With `baseline` unknown (the level of the panes before the change), a start with c of
the N panes since it, their sum s, and m the mean of all, explains b = (s - c*m)**2 * N / (c*(N - c)) of the squared
error Q; with `baseline` known, b = s**2 / c of Q = sum(y**2). The score is the largest N/2 * log(1 + b / max(Q - b,
D/2)), the profile likelihood ratio with unknown variance, where D = sum of squared steps (y - previous y) keeps the
scale honest when the panes fit too well, divided by (1 + r) / (1 - r), the variance's excess under autocorrelation.
r is von Neumann's: 1 - D'/(2*(Q - b)), D' without the step into the change, plus its bias (1 + 3*r)/N, within 0
and `correlation_max` (limited, because a trend or an undetected change looks like r = 1). Nothing but panes seen
enters: no look-ahead. Starts that can never be the largest are pruned: what remains are corners of the
lower (up) or upper (down) hull of (panes, sum so far), exact for b: about log(panes) of them in noise, and up to one
for each pane of a ramp. When `candidates` are full the second oldest is dropped: b may then be too low, never too
high. Values within 16 units in the last place of the one before are taken for equal to it, and of starts whose slopes
agree to 9 digits the oldest stays.
Score: log-likelihood ratio, nats, divided by the variance's excess; 0 until there are 2 * shortest panes. No
p-value: thresholds come from simulation, and grow like log(panes). With `learn` False it scores as if learned and
keeps nothing. `gap`: the quiet panes are learned before the value is scored, each 0 - gap_expected / gap: the
first 2 * shortest one by one, the others at once, exact.
Units: the value's own. Cost: 56 + 16 * shortest + 32 * candidates bytes an entity, the last twice for `both`; 2.5 us.
Reference: Romano, Eckley, Fearnhead and Rigaill, JMLR 24 (2023); von Neumann, Annals of Mathematical Statistics 12
(1941), for the ratio.

>>> from detectors.base import observe
>>> spec = GaussianFocus(shortest=2)
>>> state = spec.init(1)
>>> for minute, amount in enumerate([30, 32, 29, 31, 30, 28, 31, 41, 43, 40]):
...     state, score = spec.step(state, observe([amount], expected=0.0, time=minute))
>>> score.score.round(1), score.expected.round(1), spec.changed_at(state)
(array([6.3]), array([32.8]), array([7]))
"""

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np

from detectors.base import SCORE_DECIMALS, Bools, Floats, Ints, Observation, Score

TINY = 1e-12  # a residual under this share of the whole squared error is rounding
ROUNDING = 16 * np.finfo(np.float64).eps  # two values nearer than this share of their size are the same
SAME = 1e-9  # as are two slopes nearer than this share of the values' scatter and of their own size


class GaussianFocusState(NamedTuple):
    panes: Floats  # (n,) N, panes since init
    origin: Floats  # (n,) the first y, subtracted from all (0 if the baseline is known), the value's unit
    mean: Floats  # (n,) of y - origin
    squares: Floats  # (n,) Q, squared error around the mean, or around 0 if the baseline is known
    steps: Floats  # (n,) D, sum of squared differences of neighbours
    recent: Floats  # (n, shortest + 1) the newest y - origin, oldest first: not yet long enough to be a change
    recent_time: Ints  # (n, shortest + 1) ms, their times; -1 unknown or none
    counts: Floats  # (n, sides, candidates) panes since each start, oldest start first, 0 beyond those in use
    totals: Floats  # (n, sides, candidates) sum of y - origin since each start, the sign turned for down
    jumps: Floats  # (n, sides, candidates) the step into each start
    since: Ints  # (n, sides, candidates) ms, time of the first pane since each start; -1 unknown or none


_State = GaussianFocusState


class GaussianFocus(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="gaussian_focus"):
    direction: Literal["up", "down", "both"] = "both"
    baseline: Literal["known", "unknown"] = "unknown"  # x.expected, or the panes since init
    shortest: Annotated[int, msgspec.Meta(ge=1, le=64)] = 5  # panes that a change must last
    correlation_max: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.75  # most autocorrelation to allow for
    candidates: Annotated[int, msgspec.Meta(ge=3, le=256)] = 16  # starts remembered for each entity and side

    def init(self, n: int) -> _State:
        ring, starts = (n, self.shortest + 1), (n, self._signs().size, self.candidates)
        return _State(
            np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(ring), np.full(ring, -1),
            np.zeros(starts), np.zeros(starts), np.zeros(starts), np.full(starts, -1),
        )  # fmt: skip

    def step(self, state: _State, x: Observation) -> tuple[_State, Score]:
        seen = ~np.isnan(x.value)
        rested = self._rest(state, x, seen)
        y = np.where(seen, x.value - x.expected, 0.0)
        size = np.where(seen, np.abs(x.value) + np.abs(x.expected), 0.0)
        added = self._add(rested, y, size, np.ones_like(y), x.time)
        scores = np.where(seen, np.round(self._best(added)[0], SCORE_DECIMALS), np.nan)
        level = x.expected + (0.0 if self.baseline == "known" else rested.origin + rested.mean)
        nothing = np.full_like(y, np.nan)
        return _keep(seen & x.learn, added, state), Score(scores, np.where(seen, level, np.nan), nothing)

    def changed_at(self, state: _State) -> Ints:
        """Time of the first pane of the change behind the score, (n,) ms; -1 unknown or no change."""
        score, best = self._best(state)
        since = np.take_along_axis(state.since.reshape(len(score), -1), best, axis=1)[:, 0]
        return np.where(score > 0, since, -1)

    def ready(self, state: _State) -> Bools:
        """Whether the next value is scored, (n,): the warm-up is over."""
        return state.panes + 1 >= 2 * self.shortest

    def _signs(self) -> Floats:
        return np.array({"up": [1.0], "down": [-1.0], "both": [1.0, -1.0]}[self.direction])[:, None]

    def _best(self, s: _State) -> tuple[Floats, Ints]:
        """The score, and the place of its start among all sides' candidates, (n, 1)."""
        n, panes = s.panes[:, None, None], np.maximum(s.panes, 1.0)
        used = s.counts > 0
        held = np.where(used, s.counts, 1.0)
        if self.baseline == "known":
            beyond, apart = s.totals, held
        else:
            beyond = s.totals - s.counts * (self._signs() * s.mean[:, None, None])
            apart = held * np.maximum(n - held, 1.0) / np.maximum(n, 1.0)
        explained = np.where(used & (beyond > 0), beyond * beyond / apart, 0.0).reshape(len(panes), -1)
        best = explained.argmax(axis=1)[:, None]
        b = np.take_along_axis(explained, best, axis=1)[:, 0]
        jump = np.take_along_axis(s.jumps.reshape(len(panes), -1), best, axis=1)[:, 0]
        left = np.maximum(s.squares - b, TINY * s.squares)
        some = (left > 0) & (b > 0) & (s.panes >= 2 * self.shortest)
        b, left = np.where(some, b, 0.0), np.where(some, left, 1.0)
        r = np.maximum(1.0 - np.maximum(s.steps - jump * jump, 0.0) / (2.0 * left), 0.0)
        r = np.minimum(r + (1.0 + 3.0 * r) / panes, self.correlation_max)
        ratio = panes / 2.0 * np.log1p(b / np.maximum(left, s.steps / 2.0))
        return ratio * (1.0 - r) / (1.0 + r), best

    def _add(self, s: _State, y: Floats, size: Floats, times: Floats, time: Ints) -> _State:
        """`times` panes of y more, from numbers of that size; above 1 only where shortest + 1 panes were y before."""
        known = self.baseline == "known"
        origin = np.where((s.panes == 0) & (not known), y, s.origin)
        y = y - origin
        alike = (s.panes > 0) & (np.abs(y - s.recent[:, -1]) <= ROUNDING * (size + np.abs(origin)))
        y = np.where(alike, s.recent[:, -1], y)  # else the rounding of a constant would be its scatter
        panes = s.panes + times
        off = y - s.mean
        squares = s.squares + (times * y * y if known else off * off * times * s.panes / panes)
        step = np.where(s.panes > 0, y - s.recent[:, -1], 0.0)
        recent = np.concatenate([s.recent[:, 1:], y[:, None]], axis=1)
        recent_time = np.concatenate([s.recent_time[:, 1:], time[:, None]], axis=1)
        used = s.counts > 0
        grown = _State(
            panes, origin, s.mean + off * times / panes, squares, s.steps + step * step, recent, recent_time,
            np.where(used, s.counts + times[:, None, None], 0.0),
            np.where(used, s.totals + self._signs() * (times * y)[:, None, None], 0.0), s.jumps, s.since,
        )  # fmt: skip
        return self._start(grown, panes >= self.shortest * (1.0 if known else 2.0))

    def _start(self, s: _State, ready: Bools) -> _State:
        """Where ready, the pane that is now `shortest` old becomes a start, and those it hides are pruned."""
        place = np.arange(self.candidates)
        newest = np.cumsum(s.recent[:, 1:], axis=1)[:, -1][:, None] * self._signs()[:, 0]
        older = s.counts > self.shortest
        ahead = np.where(older, s.counts - self.shortest, 1.0)
        slope = np.where(older, (s.totals - newest[:, :, None]) / ahead, -np.inf)
        steep = np.maximum.reduce(slope, axis=2)
        scatter = SAME * np.sqrt(s.squares / np.maximum(s.panes, 1.0))[:, None]
        same = scatter + SAME * np.abs(np.where(steep > -np.inf, steep, 0.0))
        tangent = (slope >= (steep - same)[:, :, None]).argmax(axis=2)  # oldest of equals
        keep = np.where(steep > (scatter if self.baseline == "known" else -np.inf), tangent + 1, 0)
        parts: list[Any] = [s.counts, s.totals, s.jumps, s.since]
        full = keep == self.candidates
        if full.any():
            parts = [np.where(full[:, :, None] & (place > 0), np.roll(a, -1, axis=2), a) for a in parts]
            keep = np.where(full, self.candidates - 1, keep)
        kept, fresh = place < keep[:, :, None], place == keep[:, :, None]
        jump = (s.recent[:, 1] - s.recent[:, 0])[:, None, None] * (s.panes > self.shortest)[:, None, None]
        new: tuple[Any, ...] = (float(self.shortest), newest[:, :, None], jump, s.recent_time[:, 1][:, None, None])
        blank = (0.0, 0.0, 0.0, -1)
        started = (
            np.where(kept, a, np.where(fresh, b, c)) for a, b, c in zip(parts, new, blank, strict=True)
        )
        return _keep(ready, s._replace(**dict(zip(_State._fields[-4:], started, strict=True))), s)

    def _rest(self, state: _State, x: Observation, seen: Bools) -> _State:
        """The state after the quiet panes."""
        rests = np.flatnonzero(seen & (x.gap > 0))
        if not rests.size:
            return state
        s = _rows(state, rests)
        gap, unknown = x.gap[rests], np.full(rests.size, -1)
        y, one, alone = -x.gap_expected[rests] / gap, np.ones(rests.size), 2 * self.shortest
        for i in range(min(int(gap.max()), alone)):
            s = _keep(gap > i, self._add(s, y, np.abs(y), one, unknown), s)
        rest = np.maximum(gap - alone, 1).astype(np.float64)
        s = _keep(gap > alone, self._add(s, y, np.abs(y), rest, unknown), s)
        place = np.zeros(len(seen), dtype=np.int64)
        place[rests] = np.arange(rests.size)
        return _keep(seen & (x.gap > 0), _rows(s, place), state)


def _keep(mask: Bools, new: _State, old: _State) -> _State:
    masks: dict[int, Any] = {1: mask, 2: mask[:, None], 3: mask[:, None, None]}
    return _State(*(np.where(masks[a.ndim], a, b) for a, b in zip(new, old, strict=True)))


def _rows(s: _State, rows: Any) -> _State:
    return _State(*(a[rows] for a in s))
