"""Upper tails of counts, vectorised: what the rate tests share. Each element's result depends on it alone."""

from collections.abc import Callable

import numpy as np
from scipy import special

from detectors.base import SCORE_DECIMALS, SCORE_MAX, Bools, Floats

TERMS = 2048  # a beta-binomial tail of more outcomes than this is approximated
CHUNK = 64  # terms summed at a time


def surprise(p: Floats) -> Floats:
    """-log10 p, clamped to SCORE_MAX and rounded.

    >>> surprise(np.array([1.0, 0.001, 0.0]))
    array([  0.,   3., 300.])
    """
    score: Floats = np.minimum(-np.log10(np.maximum(p, 10.0**-SCORE_MAX)), SCORE_MAX)
    rounded: Floats = np.round(score, SCORE_DECIMALS) + 0.0  # + 0.0 turns -0 into 0
    return rounded


def count_tail(value: Floats, mean: Floats, dispersion: Floats) -> Floats:
    """P(X >= value), negative binomial of variance mean + dispersion * mean**2, Poisson at 0.

    >>> count_tail(np.array([1.0, 1.0]), np.array([1.0, 1.0]), np.array([0.0, 1.0])).round(6)
    array([0.632121, 0.5     ])
    """
    p = np.ones_like(value)
    over = np.flatnonzero((value > 0) & (dispersion >= 1e-12))
    odds = dispersion[over] * mean[over]
    p[over] = special.betainc(value[over], 1.0 / dispersion[over], odds / (1.0 + odds))
    plain = np.flatnonzero((value > 0) & (dispersion < 1e-12))
    p[plain] = special.gammainc(value[plain], mean[plain])
    return p


def count_floor(value: Floats, mean: Floats, dispersion: Floats) -> Floats:
    """P(X <= value), of the same distribution as `count_tail`.

    >>> count_floor(np.array([0.0, 0.0]), np.array([1.0, 1.0]), np.array([0.0, 1.0])).round(6)
    array([0.367879, 0.5     ])
    """
    p = np.ones_like(value)
    over = np.flatnonzero(dispersion >= 1e-12)
    odds = dispersion[over] * mean[over]
    p[over] = special.betaincc(value[over] + 1.0, 1.0 / dispersion[over], odds / (1.0 + odds))
    plain = np.flatnonzero(dispersion < 1e-12)
    p[plain] = special.gammaincc(value[plain] + 1.0, mean[plain])
    return p


def share_tail(hits: Floats, trials: Floats, alpha: Floats, beta: Floats) -> Floats:
    """P(K >= hits) for a beta-binomial with whole hits <= trials and beta >= 1 (so that its tail only falls).

    Exact where at most TERMS outcomes are that high; else by the beta distribution of the same mean and
    variance, half a trial lower (measured: scores up to 12 within 2%).

    >>> share_tail(np.array([2.0]), np.array([2.0]), np.array([1.0]), np.array([1.0])).round(6)
    array([0.333333])
    """
    p = np.ones_like(hits)
    exact = np.flatnonzero((hits > 0) & (trials - hits < TERMS))
    p[exact] = _summed(hits[exact], trials[exact], alpha[exact], beta[exact])
    long = np.flatnonzero((hits > 0) & (trials - hits >= TERMS))
    k, n, a, b = hits[long], trials[long], alpha[long], beta[long]
    spread = 1.0 / (a + b + 1.0)
    concentration = 1.0 / (spread + (1.0 - spread) / n) - 1.0
    scale = concentration / (a + b)
    p[long] = special.betainc(b * scale, a * scale, 1.0 - (k - 0.5) / n)
    return p


def _summed(k: Floats, n: Floats, a: Floats, b: Floats) -> Floats:
    """The first term from log-gammas, the others by their ratios, in order until no more changes."""
    log_first = (
        special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
        + special.betaln(k + a, n - k + b) - special.betaln(a, b)
    )  # fmt: skip
    total, term, j = np.ones_like(k), np.ones_like(k), k.copy()
    rows = np.flatnonzero(j < n)
    while rows.size:
        i = j[rows, None] + np.arange(CHUNK)
        left = np.maximum(n[rows, None] - i, 0.0)  # 0 from the last outcome on, which ends the product
        ratio = left * (i + a[rows, None]) / ((i + 1.0) * (np.maximum(left - 1.0, 0.0) + b[rows, None]))
        terms = np.cumprod(ratio, axis=1) * term[rows, None]  # cumulative sums and products run in order
        total[rows] = np.cumsum(np.column_stack([total[rows], terms]), axis=1)[:, -1]
        term[rows], j[rows] = terms[:, -1], j[rows] + CHUNK
        rows = rows[(j[rows] < n[rows]) & (term[rows] * (n[rows] - j[rows]) > 1e-17 * total[rows])]
    first: Floats = np.exp(log_first)
    return np.minimum(first * total, 1.0)


def last_whole(holds: Callable[[Floats], Bools], upper: Floats) -> Floats:
    """The largest whole number in 0..upper where `holds`, which is true at first and then false.

    >>> last_whole(lambda v: v * v < 50, np.array([100.0, 3.0]))
    array([7., 3.])
    """
    low, high = np.zeros_like(upper), np.maximum(np.floor(upper), 0.0) + 1.0
    for _ in range(64):
        if (high - low <= 1.0).all():
            break
        middle = np.floor((low + high) / 2)
        true = holds(middle) | (middle <= 0)
        low, high = np.where(true, middle, low), np.where(true, high, np.maximum(middle, low + 1))
    return low


def usual_counts(
    tail: Callable[[Floats], Floats], mean: Floats, sd: Floats, coverage: float
) -> tuple[Floats, Floats]:
    """The whole numbers between which a count falls with probability `coverage` or more, centred."""
    out = (1.0 - coverage) / 2.0
    upper = mean + sd * np.sqrt(1.0 / out) + 1.0  # Cantelli: the tail is under `out` from here on
    return last_whole(lambda v: tail(v) >= 1.0 - out, upper), last_whole(lambda v: tail(v) > out, upper)
