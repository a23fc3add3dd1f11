"""Poisson-FOCuS: a lasting change of a count's rate, of any size and any length, against a known expectation.

Sees: a rise (or fall) that lasts, without choosing its size beforehand: x2 at 3 a pane in about 20 panes, x4
in 3, and when it began. Misses: what the expectation already contains (it has no level of its own), shape
without volume; at 0.3 a pane x2 takes about 80 panes. It never resets: after a lasting change the score stays
high until panes at or beyond the expectation outweigh it.

Formula: each pane counts with the weight w = 1/(1 + dispersion*expected), one over its variance's excess. Over all
starts, with s = sum of w*value and e = sum of w*expected since that start, the score is the largest of s*log(s/e)
- (s - e), for s > e (up) or s < e (down). Starts that can never be the largest are pruned: what remains are the
corners of the lower (up) or upper (down) hull of (e so far, s so far), steeper (flatter) than 1: about log(panes) of
them in noise, up to one for each pane of a ramp. When `candidates` are full the second oldest is dropped; the score
may then be too low, never too high.
Score: log-likelihood ratio, nats, each pane's divided by its variance's excess (quasi-Poisson). No p-value: thresholds
come from simulation. With `learn` False it scores as if learned and keeps nothing. `gap`: the quiet panes are
one pane of value 0, expectation gap_expected and the weight of gap_expected/gap: exact for both directions where the
quiet panes' expectations are alike, but a fall's score in the meantime shows only when the entity steps. Weights
cost delay where counts are over-dispersed: a rise of x1.25 at mean 3, dispersion 0.5, takes 1.4 times as long as by
the negative binomial's own likelihood (benchmarks/quality/delay.py). That one has no finite hull once the expectation
varies; CountShift has it exactly, for four sizes.
Units: counts; an expectation under 1e-9 counts as 1e-9. Cost: 8 + 24 * candidates bytes an entity; 1 us at 16
candidates.
Reference: Romano, Eckley, Fearnhead and Rigaill, JMLR 24 (2023); Ward, Dilillo, Eckley and Fearnhead, JASA
(2023).

>>> from detectors.base import observe
>>> spec = PoissonFocus()
>>> state = spec.init(1)
>>> for minute, count in enumerate([3, 2, 4, 1, 6, 7, 5]):
...     state, score = spec.step(state, observe([count], expected=3.0, time=minute))
>>> score.score.round(2), spec.changed_at(state)
(array([3.48]), array([4]))
"""

from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
from scipy import special

from detectors.base import SCORE_DECIMALS, Bools, Floats, Ints, Observation, Score

SAME = 1e-9  # rates nearer than this share are the same: their difference is rounding


class PoissonFocusState(NamedTuple):
    hits: Floats  # (n, candidates) weighted values since each start, oldest start first, 0 beyond `used`
    mass: Floats  # (n, candidates) weighted expectations since each start
    since: Ints  # (n, candidates) ms, time of the first pane since each start; -1 unknown or none
    used: Ints  # (n,) candidates in use, the last of them starting at the next pane


_State = PoissonFocusState


class PoissonFocus(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="poisson_focus"):
    direction: Literal["up", "down"] = "up"
    candidates: Annotated[int, msgspec.Meta(ge=3, le=256)] = 16  # starts remembered for each entity

    def init(self, n: int) -> _State:
        shape = (n, self.candidates)
        return _State(np.zeros(shape), np.zeros(shape), np.full(shape, -1), np.ones(n, dtype=np.int64))

    def step(self, state: _State, x: Observation) -> tuple[_State, Score]:
        seen = ~np.isnan(x.value)
        rests = seen & (x.gap > 0)
        if rests.any():
            unknown, due = np.full_like(x.time, -1), np.where(rests, x.gap_expected, 0.0)
            weight = 1.0 / (1.0 + x.dispersion * due / np.maximum(x.gap, 1))
            rested = _keep(rests, self._add(state, np.zeros_like(x.value), weight * due, unknown), state)
        else:
            rested = state
        weight = 1.0 / (1.0 + x.dispersion * x.expected)
        mass = weight * np.maximum(x.expected, 1e-9)
        added = self._add(rested, weight * np.where(seen, x.value, 0.0), mass, x.time)
        best = np.maximum.reduce(self._ratios(added), axis=1)
        scores = np.where(seen, np.round(best, SCORE_DECIMALS), np.nan)
        expected = np.where(seen, x.expected, np.nan)
        return _keep(seen & x.learn, added, state), Score(scores, expected, np.full_like(scores, np.nan))

    def changed_at(self, state: _State) -> Ints:
        """Time of the first pane of the change behind the score, (n,) ms; -1 unknown or no change."""
        ratios = self._ratios(state)
        best = ratios.argmax(axis=1)[:, None]
        since = np.take_along_axis(state.since, best, axis=1)[:, 0]
        return np.where(np.take_along_axis(ratios, best, axis=1)[:, 0] > 0, since, -1)

    def _beyond(self, s: _State) -> tuple[Bools, Floats]:
        """Which candidates' rates lie beyond 1, and the rates; those that have no pane yet never do."""
        filled = s.mass > 0
        nowhere = -np.inf if self.direction == "up" else np.inf
        rate = np.where(filled, s.hits / np.where(filled, s.mass, 1.0), nowhere)
        return filled & (rate > 1.0 if self.direction == "up" else rate < 1.0), rate

    def _ratios(self, s: _State) -> Floats:
        beyond, rate = self._beyond(s)
        ratios = np.zeros_like(s.hits)
        hits, mass = s.hits[beyond], s.mass[beyond]
        ratios[beyond] = np.maximum(special.xlogy(hits, rate[beyond]) - (hits - mass), 0.0)
        return ratios

    def _add(self, s: _State, value: Floats, mass: Floats, time: Ints) -> _State:
        """One pane more: add it to every candidate, keep those up to the hull's tangent, start a new one."""
        place = np.arange(self.candidates)
        live = place < s.used[:, None]
        since = np.where(live & (s.mass == 0), time[:, None], s.since)
        hits = np.where(live, s.hits + value[:, None], 0.0)
        grown = _State(hits, np.where(live, s.mass + mass[:, None], 0.0), since, s.used)
        beyond, rate = self._beyond(grown)
        if self.direction == "up":
            same = rate >= np.maximum.reduce(rate, axis=1)[:, None] * (1.0 - SAME)
        else:
            same = rate <= np.minimum.reduce(rate, axis=1)[:, None] * (1.0 + SAME)
        tangent = same.argmax(axis=1)  # oldest of equals
        keep = np.where(np.take_along_axis(beyond, tangent[:, None], axis=1)[:, 0], tangent + 1, 0)
        parts = [grown.hits, grown.mass, grown.since]
        full = np.flatnonzero(keep == self.candidates)
        for part in parts if full.size else ():
            part[full, 1:-1] = part[full, 2:]
        keep = np.minimum(keep, self.candidates - 1)
        kept = place < keep[:, None]
        blanks = (0.0, 0.0, -1)
        hits, totals, times = (np.where(kept, a, b) for a, b in zip(parts, blanks, strict=True))
        return _State(hits, totals, times, keep + 1)


def _keep(mask: Bools, new: _State, old: _State) -> _State:
    wide = mask[:, None]
    return _State(*(np.where(wide if a.ndim == 2 else mask, a, b) for a, b in zip(new, old, strict=True)))
