"""The ideal reader of counts: the likelihood ratio of an episode against none, at every hour that one may begin.

It knows how long, how strong and in which shapes a kind is planted, weighs all of them by how often they are drawn, and
expects of every hour what the creator's true rates, the delays and the market bring.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from streams.simulate_market import Floats
from streams.simulate_spec import KINDS

LITTLE = 1e-6  # events an hour that are always possible


class Channel(NamedTuple):
    """One sort of events of the same units, by the hour."""

    seen: Floats  # (units, hours)
    usual: Floats  # (units, hours) expected without an episode
    extra: Floats  # (units, hours) what an episode of gain 1 adds


class Template(NamedTuple):
    """One episode that could have been planted."""

    pieces: tuple[tuple[int, int, float], ...]  # hours after its start, hours, how much of the strength is there
    strength: float
    prior: float  # probability

    @property
    def hours(self) -> int:
        return self.pieces[-1][0] + self.pieces[-1][1]

    @property
    def active_hours(self) -> int:
        return sum(length for _, length, _ in self.pieces)


Gain = Callable[[Template], float | Floats]


def middles(low: float, high: float, n: int) -> Floats:
    """n equally likely values of what is drawn log-uniformly."""
    return np.asarray(low * (high / low) ** ((np.arange(n) + 0.5) / n))


def shapes_of(span: int, shape: str) -> list[tuple[tuple[int, int, float], ...]]:
    """As `make_slot` has it, in whole hours; a ramp in three steps."""
    if shape == "burst":
        return [((0, span, 1.0),)]
    if shape == "ramp":
        edges = [0, round(span / 3), round(2 * span / 3), span]
        steps = zip(edges, edges[1:], (1 / 3, 1.0, 5 / 3), strict=False)
        return [tuple((a, b - a, weight) for a, b, weight in steps if b > a)]
    out = []
    for k in (3, 4, 5):
        long = span >= 48
        for apart in (span / k,) if long else (21, 24, 27):
            length = max(round(span / (2 * k) if long else span / k), 1)
            out.append(tuple((round(i * apart), length, 1.0) for i in range(k)))
    return out


def templates(kind: str, spans: int = 4, strengths: int = 4) -> list[Template]:
    known = KINDS[kind]
    out = []
    for span in middles(*known.hours, spans):
        for shape in known.shapes:
            variants = shapes_of(max(round(span), 1), shape)
            share = 1.0 / (spans * strengths * len(known.shapes) * len(variants))
            out += [Template(v, float(g), share) for v in variants for g in middles(*known.strength, strengths)]
    return out


def summed(x: Floats) -> Floats:
    """(units, hours + 1) sums of all hours before each."""
    return np.concatenate([np.zeros((len(x), 1)), np.cumsum(x, axis=1)], axis=1)


def between(sums: Floats, first: int, hours: int) -> Floats:
    """For each start, what is within so many hours from `first` after it on; what lies behind the end is nothing."""
    n = sums.shape[1] - 1
    start = np.arange(n)
    return sums[:, np.minimum(start + first + hours, n)] - sums[:, np.minimum(start + first, n)]


def posterior(channels: list[Channel], nodes: Floats) -> Floats:
    """(nodes, units, hours + 1) what each of the rates, as a part of the true one, has for it by then."""
    n, usual = (summed(np.asarray(sum(c[i] for c in channels))) for i in (0, 1))
    log = n * np.log(nodes)[:, :, None] - nodes[:, :, None] * usual
    log -= log.max(axis=0)
    weight = np.exp(log)
    return np.asarray(weight / weight.sum(axis=0))


def scan(channels: list[Channel], kind: Iterable[Template], gain: Gain, nodes: Floats) -> Floats:
    """(units, hours) likelihood ratio of an episode that begins then, all templates weighed.

    `nodes` (nodes, units) are the rates that a creator may have, as parts of the true one, each as likely at first:
    those who know it have 1 alone.
    """
    shown = posterior(channels, nodes)
    hours = shown.shape[2] - 1
    total = np.zeros(shown[0, :, 1:].shape)
    cache: dict[tuple[float, float], tuple[Floats, Floats]] = {}
    for one in kind:
        log, mean = np.zeros(total.shape), np.zeros(total.shape)
        for first, length, weight in one.pieces:
            times = np.asarray(gain(one)) * weight
            key = (float(times.ravel()[0]), one.strength)
            if key not in cache:
                cache[key] = _told(channels, times)
            log += between(cache[key][0], first, length)
            mean += between(cache[key][1], first, length)
        end = np.minimum(np.arange(hours) + one.hours, hours)
        less = sum(p[:, end] * np.exp(-x[:, None] * mean) for p, x in zip(shown, nodes, strict=True))
        total += one.prior * np.exp(np.minimum(log, 600.0)) * less
    return total


def _told(channels: list[Channel], times: Floats) -> tuple[Floats, Floats]:
    """Sums over hours: what the events say for an episode, and how many more it would bring."""
    log = sum(c.seen * np.log1p(times * c.extra / (c.usual + LITTLE)) for c in channels)
    return summed(np.asarray(log)), summed(np.asarray(sum(times * c.extra for c in channels)))
