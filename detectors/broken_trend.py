"""Broken trend: did a measured quantity's line break, in level, in slope or in both, and when?

Sees: a jump, a bend, a peak, against a straight line whose slope it learns; so neither a steady trend nor the slow
waves of autocorrelated noise are changes. Misses: changes that do not last (an outlier), changes of variance, and
breaks that it does not notice within `window` panes. It compares all panes since init or `restart`.

Formula: y = value - expected. One line fits all N panes with squared error Q0; two lines, before and from a start,
fit with Q, the least over the starts of the last `window` panes that leave `shortest` panes on each side. The score
is N/2 * log(max(Q0, F) / max(Q, F)) / ((1 + r) / (1 - r)) - 2*log(N), where F = share_min * N * the variance of
everything seen, restarts or not (what is small beside what the series is used to is no break), and r the residuals'
autocorrelation by von Neumann's ratio, 1 - E / (2*Q), E the squared steps less each line's slope, plus its bias 2*(1
+ 3*r)/N, within 0 and `correlation_max`. 2*log(N) is the Bayesian information criterion's price of four parameters:
a level, a slope, and the start, which counts twice. Nothing but panes seen enters: no look-ahead.
Score: nats; above 0 the broken line describes the panes better than the straight one. Under 0 it is reported as 0,
as it is for the first 3 * shortest panes. No p-value. With `learn` False it scores as if learned and keeps nothing.
`gap` is ignored: what is not measured is not 0.
Units: the value's own. Cost: 96 + 48 * window bytes an entity; 4 us at 128.
Reference: Quandt, JASA 53 (1958), for the two lines; Yao, Statistics and Probability Letters 6 (1988), for the
criterion; von Neumann, Annals of Mathematical Statistics 12 (1941), for the ratio.

>>> from detectors.base import observe
>>> spec = BrokenTrend(shortest=3)
>>> state = spec.init(1)
>>> for day, amount in enumerate([10, 12, 15, 16, 18, 21, 22, 24, 20, 17, 15, 11, 9]):
...     state, score = spec.step(state, observe([amount], expected=0.0, time=day))
>>> score.score.round(1), spec.changed_at(state)
(array([11.6]), array([8]))
"""

from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from detectors.base import SCORE_DECIMALS, Bools, Floats, Ints, Observation, Score

TINY = 1e-12  # a squared error under this share of the squares is rounding


class BrokenTrendState(NamedTuple):
    panes: Floats  # (n,) N, panes since init or restart
    origin: Floats  # (n,) the first y ever, subtracted from all, the value's unit
    lived: Floats  # (n,) panes since init
    mean: Floats  # (n,) of y - origin since init
    square: Floats  # (n,) their squared error around it
    first: Floats  # (n,) y - origin of the first pane since restart
    sums: Floats  # (n, 5) since restart, of y, pane * y, y * y and squared steps; last the newest y; all less origin
    before: Floats  # (n, 5, window) `sums` before each of the newest panes, oldest first; its own y instead of the last
    since: Ints  # (n, window) ms, those panes' times; -1 none
    left: Floats  # (n,) y - origin of the pane that was the last to leave the window


_State = BrokenTrendState


class _Lines(NamedTuple):
    """The best break. Each (n,)."""

    straight: Floats  # Q0
    broken: Floats  # Q; infinite where there is no start to try
    start: Ints  # its place in the window
    steps: Floats  # E


class BrokenTrend(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="broken_trend"):
    shortest: Annotated[int, msgspec.Meta(ge=2, le=64)] = 6  # panes on each side of a break
    window: Annotated[int, msgspec.Meta(ge=4, le=1024)] = 128  # newest panes that may be starts
    correlation_max: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.8  # most autocorrelation to allow for
    share_min: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.03  # residual variance assumed at least, share of all

    def init(self, n: int) -> _State:
        zero = np.zeros(n)
        return _State(
            zero, zero.copy(), zero.copy(), zero.copy(), zero.copy(), zero.copy(),
            np.zeros((n, 5)), np.zeros((n, 5, self.window)), np.full((n, self.window), -1), zero.copy(),
        )  # fmt: skip

    def step(self, state: _State, x: Observation) -> tuple[_State, Score]:
        seen = ~np.isnan(x.value)
        y = np.where(seen, x.value - x.expected, 0.0)
        added = self._add(state, y, x.time)
        scores = np.where(seen, np.round(self._score(added), SCORE_DECIMALS), np.nan)
        level = np.where(seen, x.expected + state.origin + self._next(state), np.nan)
        return _keep(seen & x.learn, added, state), Score(scores, level, np.full_like(y, np.nan))

    def changed_at(self, state: _State) -> Ints:
        """Time of the first pane of the break behind the score, (n,) ms; -1 no break."""
        start = self._break(state).start[:, None]
        return np.where(self._score(state) > 0, np.take_along_axis(state.since, start, axis=1)[:, 0], -1)

    def ready(self, state: _State) -> Bools:
        """Whether the next value is scored, (n,): the warm-up is over."""
        return state.panes + 1 >= 3 * self.shortest

    def restart(self, state: _State, where: Bools) -> _State:
        """Where it is said, and there is a break, the panes before it are forgotten."""
        start = self._break(state).start
        place, held = np.arange(self.window), self.window - start.astype(np.float64)
        inside = place >= start[:, None]
        base, into = self._base(state, start)
        first = base[:, 4].copy()
        base[:, 4] = 0.0  # not a sum
        sums, before = state.sums - base, state.before - base[:, :, None]
        ago = state.panes - held
        sums[:, 1] -= ago * sums[:, 0]
        before[:, 1] -= ago[:, None] * before[:, 0]
        sums[:, 3] -= into * into
        before[:, 3] -= np.where(place > start[:, None], (into * into)[:, None], 0.0)
        fresh = state._replace(
            panes=held, first=first, sums=sums, before=np.where(inside[:, None], before, 0.0),
            since=np.where(inside, state.since, -1),
        )  # fmt: skip
        return _keep(where & (self._score(state) > 0), fresh, state)

    def _add(self, s: _State, y: Floats, time: Ints) -> _State:
        origin = np.where(s.lived == 0, y, s.origin)
        y = y - origin
        lived, off = s.lived + 1.0, y - s.mean
        step = np.where(s.panes > 0, y - s.sums[:, 4], 0.0)
        mean = s.mean + off / lived
        first = np.where(s.panes == 0, y, s.first)
        now = s.sums.copy()
        now[:, 4] = y
        sums = np.stack([y, s.panes * y, y * y, step * step], axis=1) + s.sums[:, :4]
        return _State(
            s.panes + 1.0, origin, lived, mean, s.square + off * (y - mean), first,
            np.concatenate([sums, y[:, None]], axis=1), np.concatenate([s.before[:, :, 1:], now[:, :, None]], axis=2),
            np.concatenate([s.since[:, 1:], time[:, None]], axis=1), s.before[:, 4, 0].copy(),
        )  # fmt: skip

    def _score(self, s: _State) -> Floats:
        lines = self._break(s)
        panes = np.maximum(s.panes, 1.0)
        some = np.isfinite(lines.broken) & (s.panes >= 3 * self.shortest)
        broken = np.where(some, lines.broken, 0.0)
        least = self.share_min * panes * s.square / np.maximum(s.lived, 1.0)
        scale = np.maximum(broken, least)
        some &= scale > 0
        ratio = np.where(some, np.maximum(lines.straight, scale) / np.where(some, scale, 1.0), 1.0)
        own = broken > 0
        r = np.maximum(1.0 - np.where(own, lines.steps, 0.0) / np.where(own, 2.0 * broken, 1.0), 0.0)
        r = np.where(own, np.minimum(r + 2.0 * (1.0 + 3.0 * r) / panes, self.correlation_max), 0.0)
        score = panes / 2.0 * np.log(ratio) * (1.0 - r) / (1.0 + r) - 2.0 * np.log(panes)
        return np.where(some, np.maximum(score, 0.0), 0.0)

    def _break(self, s: _State) -> _Lines:
        held = np.arange(self.window, 0, -1.0)  # panes from each start on
        panes = s.panes[:, None]
        ago = panes - held
        y, ty, yy = (s.before[:, i] for i in range(3))
        total, t_total, squares = (s.sums[:, i, None] for i in range(3))
        rounding = TINY * np.maximum(squares, 0.0)
        after = _error(held, total - y, t_total - ty - ago * (total - y), squares - yy)
        before = _error(ago, y, ty, yy)
        may = (held >= self.shortest) & (ago >= self.shortest)
        errors = np.where(may, np.maximum(before, 0.0) + np.maximum(after, 0.0), np.inf)
        start = errors.argmin(axis=1)
        best = np.take_along_axis(errors, start[:, None], axis=1)
        straight = np.maximum(_error(panes, total, t_total, squares), rounding)[:, 0]
        broken = np.where(np.isfinite(best), np.maximum(best, rounding), best)[:, 0]
        return _Lines(straight, broken, start, self._steps(s, start))

    def _steps(self, s: _State, start: Ints) -> Floats:
        """Squared steps less each line's slope, without the step into the start."""
        base, into = self._base(s, start)
        held = self.window - start.astype(np.float64)
        ago = s.panes - held
        y, ty = s.sums[:, 0] - base[:, 0], s.sums[:, 1] - base[:, 1]
        slope = _slope(held, y, ty - ago * y)
        later = s.sums[:, 3] - base[:, 3] - into * into
        later = later - 2.0 * slope * (s.sums[:, 4] - base[:, 4]) + (held - 1.0) * slope * slope
        slope = _slope(ago, base[:, 0], base[:, 1])
        sooner = base[:, 3] - 2.0 * slope * (base[:, 4] - into - s.first) + (ago - 1.0) * slope * slope
        return np.maximum(later, 0.0) + np.maximum(sooner, 0.0)

    def _base(self, s: _State, start: Ints) -> tuple[Floats, Floats]:
        """The sums before the start and its own y, (n, 5), and the step into it."""
        base = np.take_along_axis(s.before, start[:, None, None], axis=2)[:, :, 0]
        previous = np.take_along_axis(s.before[:, 4], np.maximum(start - 1, 0)[:, None], axis=1)[:, 0]
        return base, base[:, 4] - np.where(start > 0, previous, s.left)

    def _next(self, s: _State) -> Floats:
        """What the straight line says of the next pane, less the origin."""
        panes = np.maximum(s.panes, 1.0)
        slope = _slope(panes, s.sums[:, 0], s.sums[:, 1])
        return s.sums[:, 0] / panes + slope * (panes + 1.0) / 2.0


def _slope(panes: Floats, y: Floats, ty: Floats) -> Floats:
    """Of the line through so many panes, given the sums of y and of pane * y."""
    spread = panes * (panes * panes - 1.0) / 12.0
    slope: Floats = np.where(spread > 0, (ty - (panes - 1.0) / 2.0 * y) / np.where(spread > 0, spread, 1.0), 0.0)
    return slope


def _error(panes: Floats, y: Floats, ty: Floats, yy: Floats) -> Floats:
    """Its squared error."""
    spread = panes * (panes * panes - 1.0) / 12.0
    off = ty - (panes - 1.0) / 2.0 * y
    error: Floats = yy - y * y / np.maximum(panes, 1.0) - off * off / np.where(spread > 0, spread, 1.0)
    return error


def _keep(mask: Bools, new: _State, old: _State) -> _State:
    masks: dict[int, Any] = {1: mask, 2: mask[:, None], 3: mask[:, None, None]}
    return _State(*(np.where(masks[a.ndim], a, b) for a, b in zip(new, old, strict=True)))
