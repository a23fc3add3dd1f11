"""A policy's limit: the value itself is the score, for rules such as "the same violation 4 times in 90 days".

Sees: exactly what the rule says. Misses: everything else: it knows no size, no exposure, no season and no
peers, so a large creator reaches a limit on counts sooner than a small one; use it only where the rule is
absolute.

Formula: score = value. No p-value; expected is 0, since a rule expects nothing. `gap` changes nothing.
Units: the value's own. Cost: 8 bytes an entity; 0.003 us.
Reference: none but the policy; state it where the limit is configured.

>>> from detectors.base import observe
>>> spec = Limit()
>>> _, score = spec.step(spec.init(2), observe([4, float("nan")]))
>>> score.score
array([ 4., nan])
"""

from typing import NamedTuple

import msgspec
import numpy as np

from detectors.base import SCORE_DECIMALS, Ints, Observation, Score


class LimitState(NamedTuple):
    seen: Ints  # (n,) values learned


class Limit(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="limit"):
    def init(self, n: int) -> LimitState:
        return LimitState(np.zeros(n, dtype=np.int64))

    def step(self, state: LimitState, x: Observation) -> tuple[LimitState, Score]:
        observed = ~np.isnan(x.value)
        score = np.round(x.value, SCORE_DECIMALS)
        expected = np.where(observed, 0.0, np.nan)
        blank = np.full_like(score, np.nan)
        return LimitState(state.seen + (observed & x.learn)), Score(score, expected, blank)
