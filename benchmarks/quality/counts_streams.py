"""The streams of counts.py: values with nothing wrong in them, and what a detector is told of each."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from detectors.base import Floats, Observation, observe

WARMUP = 200  # steps before the first that counts
Stream = Callable[[np.random.Generator, int], Iterator[Observation]]
Rng = np.random.Generator


class Row(NamedTuple):
    name: str
    stream: Stream
    share: bool = False  # k of n
    told: bool = False  # whether x.dispersion says something
    untold: bool = False  # shares that vary though nothing says so: BetaBinomialTail has no dispersion of its own
    hangs_together: bool = False  # autocorrelated: the looser bar


def drawn(rng: Rng, mean: Floats, dispersion: float) -> Floats:
    return rng.poisson(mean * rng.gamma(1 / dispersion, dispersion, mean.shape) if dispersion else mean).astype(float)


def misjudged(rng: Rng, n: int) -> Floats:
    return np.exp(rng.normal(0.0, 0.5, n))


def steady(mean: float, dispersion: float = 0.0, profile: Callable[[int], float] = lambda _: 1.0) -> Stream:
    def stream(rng: Rng, n: int) -> Iterator[Observation]:
        factor, t = misjudged(rng, n), 0
        while True:
            level = np.full(n, mean * profile(t))
            yield observe(drawn(rng, level, dispersion), expected=level * factor, dispersion=dispersion, time=t)
            t += 1

    return stream


def hour_of_week(t: int) -> float:
    day, hour = divmod(t, 24)
    return (1.0 + 0.8 * np.sin(2 * np.pi * hour / 24)) * (0.6 if day % 7 >= 5 else 1.0)


def hidden(mean: float, dispersion: float) -> Stream:
    """The hour-of-week profile is in the values but not in the expectation."""

    def stream(rng: Rng, n: int) -> Iterator[Observation]:
        factor, phase, t = misjudged(rng, n), rng.integers(0, 168, n), 0
        while True:
            level = mean * np.vectorize(hour_of_week)(t + phase)
            yield observe(drawn(rng, level, dispersion), expected=mean * factor, time=t)
            t += 1

    return stream


def wandering(mean: float, memory: float, sd: float) -> Stream:
    """Poisson with an AR(1) log-intensity."""

    def stream(rng: Rng, n: int) -> Iterator[Observation]:
        factor, log, t = misjudged(rng, n), rng.normal(0.0, sd, n), 0
        while True:
            yield observe(drawn(rng, mean * np.exp(log - sd * sd / 2), 0.0), expected=mean * factor, time=t)
            log, t = memory * log + rng.normal(0.0, sd * np.sqrt(1 - memory * memory), n), t + 1

    return stream


def overlapping(mean: float, dispersion: float, panes: int) -> Stream:
    """Every step a window of so many panes that shares all but one with the last."""

    def stream(rng: Rng, n: int) -> Iterator[Observation]:
        factor = misjudged(rng, n)
        recent = [drawn(rng, np.full(n, mean), dispersion) for _ in range(panes)]
        while True:
            recent = [*recent[1:], drawn(rng, np.full(n, mean), dispersion)]
            yield observe(np.sum(recent, axis=0), expected=mean * panes * factor)

    return stream


def exposed(rate: float, dispersion: float) -> Stream:
    """Counts against an exposure of 1 to 100,000, log-uniform, anew in every step."""

    def stream(rng: Rng, n: int) -> Iterator[Observation]:
        factor = misjudged(rng, n)
        while True:
            exposure = np.floor(10.0 ** rng.uniform(0.0, 5.0, n))
            value = drawn(rng, exposure * rate, dispersion)
            yield observe(value, exposure=exposure, expected=exposure * rate * factor, dispersion=dispersion)

    return stream


def shares(share: float, concentration: float | None, most: float) -> Stream:
    """k of n, n log-uniform from 1 up; the entity's share varies by a beta distribution, or not at all."""

    def stream(rng: Rng, n: int) -> Iterator[Observation]:
        own = rng.beta(20 * share, 20 * (1 - share), n)
        spread = (1 - share) / (share * (concentration + 1)) if concentration else 0.0
        while True:
            trials = np.floor(10.0 ** rng.uniform(0.0, np.log10(most), n))
            now = rng.beta(own * concentration + 1e-9, (1 - own) * concentration + 1e-9) if concentration else own
            value = rng.binomial(trials.astype(int), now).astype(float)
            yield observe(value, exposure=trials, expected=trials * share, dispersion=spread)

    return stream


MEANS, SHAPES = (0.2, 2.0, 20.0, 200.0), (0.5, 2.0, 5.0)
ROWS = [
    *(Row(f"Poisson, mean {m:g}", steady(m)) for m in MEANS),
    *(Row(f"over-dispersed, k {k:g}, mean {m:g}", steady(m, 1 / k), told=True) for k in SHAPES for m in MEANS),
    Row("hour of week, given, Poisson 5", steady(5.0, 0.0, hour_of_week)),
    Row("hour of week, given, k 2, mean 20", steady(20.0, 0.5, hour_of_week), told=True),
    Row("hour of week, not given, k 5, mean 20", hidden(20.0, 0.2), hangs_together=True),
    Row("AR(1) log-intensity .9, sd .5, mean 2", wandering(2.0, 0.9, 0.5), hangs_together=True),
    Row("AR(1) log-intensity .9, sd .5, mean 20", wandering(20.0, 0.9, 0.5), hangs_together=True),
    Row("AR(1) log-intensity .97, sd .7, mean 20", wandering(20.0, 0.97, 0.7), hangs_together=True),
    Row("windows of 24 panes overlap, k 2, mean 24", overlapping(1.0, 0.5, 24), hangs_together=True),
    Row("counts of exposure 1-100,000, Poisson", exposed(0.01, 0.0)),
    Row("counts of exposure 1-100,000, k 2", exposed(0.01, 0.5), told=True),
    Row("shares of 1-100,000 trials", shares(0.05, None, 1e5), share=True),
    Row("shares of 1-1,000 trials", shares(0.3, None, 1e3), share=True),
    Row("shares of 1-100,000, varying, c 50, told", shares(0.3, 50.0, 1e5), share=True, told=True),
    Row("shares of 1-100,000, varying, c 50, not told", shares(0.3, 50.0, 1e5), share=True, untold=True),
]
