"""What a market does: running totals, the shape of its week, and its lift right now.

Sums over entities come in as integers (fixed point), so that neither the order of rows nor their number can show.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from detectors.base import Floats, Ints
from streams.entities import Population

HOUR = 3_600_000
DAY = 86_400_000
REACH = HOUR  # so long after an alert has opened its window can be read again: totals and rings keep so much more
TURN = 3 * HOUR  # between two lots of entities that learn; each has one turn a day
SCALE = float(1 << 20)  # fixed point: 20 bits behind the point
PROFILE_EVENTS = 20.0  # events that an hour of the week must have had before its own activity weighs half
PROFILE_DAYS, PROFILE_WEEKS = 14.0, 4.0  # half-lives, in samples, of an hour's and of a weekday's activity
LIFT_RANGE = (0.1, 30.0)
CAPPED_TIMES = 6
CAPS = {  # what one entity counts for at most among its peers: so many times what is due for it, and so many events
    "volume": (8.0, 5.0), "ratio": (8.0, 5.0), "outcome": (3.0, 3.0), "share": (3.0, 3.0),
}  # fmt: skip
SHOCK = 9.0  # squared standard deviations off the longer window's lift at which it weighs half
LIFT_EVENTS = {"volume": 5.0, "outcome": 20.0, "share": 20.0, "ratio": 20.0}  # events by which a lift is shrunk to
# that of the next longer window, and the longest's to 1: demand moves often and at once, what becomes of orders seldom


FIXED_MAX = 2.0**52  # sums of a thousand such still fit; a cast that overflows differs from machine to machine


def fixed(x: Any) -> Ints:
    """Fixed point, within bounds."""
    return whole(np.asarray(x, dtype=np.float64) * SCALE)


def whole(x: Floats) -> Ints:
    """Rounded, at most FIXED_MAX."""
    return np.rint(within(x, -FIXED_MAX, FIXED_MAX)).astype(np.int64)


def add_up(at: Ints, values: Ints, n: int) -> Ints:
    """(n,) the sums of whole values by index: exact, in whatever order they stand."""
    total = np.zeros(n, dtype=np.int64)
    np.add.at(total, at, values)
    return total


def widened(a: np.ndarray, width: int) -> np.ndarray:
    """With zeros behind the last axis, up to a width."""
    return np.concatenate([a, np.zeros((*a.shape[:-1], width - a.shape[-1]), dtype=a.dtype)], axis=-1)


def in_order(rows: Floats) -> Floats:
    """The sum over axis 0, row by row: numpy's own sum takes another order for another shape."""
    total: Floats = np.add.accumulate(rows, axis=0)[-1] if len(rows) else np.zeros(rows.shape[1:])
    return total


def within(x: Floats, low: float, high: float) -> Floats:
    """np.clip, at a third of its cost for the few rows of a pane."""
    inside: Floats = np.minimum(np.maximum(x, low), high)
    return inside


class Series:
    """Running totals by market over base panes, so that any window's sum is a difference."""

    def __init__(self, base_ms: int, span_ms: int) -> None:
        self.base_ms = base_ms
        self.rows = span_ms // base_ms + 2
        self.total = np.zeros((self.rows, 0), dtype=np.int64)  # (rows, n_markets) fixed point

    def widen(self, markets: int) -> None:
        if markets > self.total.shape[1]:
            self.total = widened(self.total, markets)

    def jump(self) -> None:
        """After a long gap: every pane in it was empty."""
        self.total[:] = 0

    def append(self, end: int, values: Ints) -> None:
        pane = end // self.base_ms
        self.total[pane % self.rows] = self.total[(pane - 1) % self.rows] + values

    def window(self, end: int, size_ms: int) -> Floats:
        """The sum over [end - size, end) for each market."""  # (n_markets,)
        last, first = end // self.base_ms, (end - size_ms) // self.base_ms
        difference: Floats = (self.total[last % self.rows] - self.total[first % self.rows]) / SCALE
        return difference

    def since(self, end: int, start: Ints, market: Ints) -> Floats:
        """The sum over [start, end) for each entity in its market."""  # (n,)
        first = np.maximum(start // self.base_ms, end // self.base_ms - self.rows + 1)
        last = self.total[(end // self.base_ms) % self.rows][market]
        difference: Floats = (last - self.total[first % self.rows, market]) / SCALE
        return difference


class Week:
    """The shape of each market's week: an hour of the day times a day of the week."""

    def __init__(self, shape: Callable[[], tuple[Floats, Floats]]) -> None:
        self.by_hour = np.zeros((2, 24, 0))  # (2, 24, n_markets) seen and due, faded
        self.by_day = np.zeros((2, 7, 0))  # (2, 7, n_markets)
        self._shape = shape  # (24, n_markets) and (7, n_markets) before anything is seen
        self._before: tuple[Floats, ...] = ()
        self._cache: dict[tuple[int, int], Floats] = {}  # of profile, until something is learned
        self._now: dict[str, tuple[Floats, Floats]] = {}  # of _learned, likewise

    def inherit(self, other: "Week") -> None:
        """What was seen; the shape before it stays this one's own."""
        self.by_hour, self.by_day = other.by_hour, other.by_day
        self._forget_cache()

    def widen(self, markets: int) -> None:
        self.by_hour, self.by_day = widened(self.by_hour, markets), widened(self.by_day, markets)
        self._forget_cache()

    def _forget_cache(self) -> None:
        self._before = ()
        self._cache.clear()
        self._now.clear()

    def profile(self, end: int) -> Floats:
        """(n_markets,): activity of the hour that ends here, over the average hour's."""
        hour, day = _of_week(end)
        if (hour, day) not in self._cache:
            hours, days = self._learned()
            self._cache[hour, day] = hours[hour] / (in_order(hours) / 24) * (days[day] / (in_order(days) / 7))
        return self._cache[hour, day]

    def _learned(self) -> tuple[Floats, Floats]:
        if "now" not in self._now:
            n = self.by_hour.shape[2]
            if not self._before:
                self._before = tuple(part[:, :n] for part in self._shape())
            self._now["now"] = _shrunk(self.by_hour, self._before[0]), _shrunk(self.by_day, self._before[1])
        return self._now["now"]

    def learn(self, end: int, seen: Floats, flat: Floats, *, levelled: bool = True) -> None:
        """What was seen in the hour that ends here, beside what was due, were every hour alike.

        Until levels are `levelled`, what is wrong in them would pass for the shape of the first days' weekdays.
        """
        hour, day = _of_week(end)
        hours, days = self._learned()
        fade_hour, fade_day = 0.5 ** (1 / PROFILE_DAYS), 0.5 ** (1 / (24 * PROFILE_WEEKS))
        self.by_hour[:, hour] = fade_hour * self.by_hour[:, hour] + np.stack([seen, flat * days[day]])
        if levelled:
            self.by_day[:, day] = fade_day * self.by_day[:, day] + np.stack([seen, flat * hours[hour]])
        self._cache.clear()
        self._now.clear()


def _of_week(end: int) -> tuple[int, int]:
    return (end - 1) // HOUR % 24, ((end - 1) // DAY + 3) % 7  # the epoch was a Thursday


def _shrunk(sums: Floats, before: Floats) -> Floats:
    """Hours, or days, of few events, and those not seen yet, are taken to be as busy as `before` says."""
    seen, due = in_order(sums[0]) + PROFILE_EVENTS, in_order(sums[1]) + PROFILE_EVENTS
    shrunk: Floats = (sums[0] + PROFILE_EVENTS * before * (seen / due)) / (sums[1] + PROFILE_EVENTS)
    return shrunk


class Lift:
    """What a market's peers do right now, over what they usually do.

    A window's lift is shrunk to the next longer window's, by so much as its events are few or lie with few peers:
    hundreds of orders of one creator that is live say little about its market. So an hour on a campaign day begins
    from what the day has shown.
    """

    def __init__(self, base: int, sizes: list[int], kind: str) -> None:
        self.chain = sorted(sizes, reverse=True)
        self.kind, self.strength = kind, LIFT_EVENTS[kind]
        span = max(DAY, self.chain[0]) + REACH
        self.seen, self.due = Series(base, span), Series(base, span)
        self.mass = np.zeros((2, 0), dtype=np.int64)  # (2, n_markets) sums of the entities' usual day and its square

    def widen(self, markets: int) -> None:
        self.seen.widen(markets)
        self.due.widen(markets)
        self.mass = widened(self.mass, markets)

    def jump(self) -> None:
        self.seen.jump()
        self.due.jump()

    def now(
        self, end: int, size: int, market: Ints, own_count: Callable[[int], Floats], own_due: Floats, own_day: Ints,
        spread: Floats, market_due: Callable[[int, int], Floats],
        market_seen: Callable[[int, int], tuple[Floats, Floats]], start: Floats | float = 1.0,
    ) -> tuple[Floats, Floats]:  # fmt: skip
        """The lift of each entity's peers, itself left out, and its relative variance.

        `own_count(size)` is what the entity did in a window, `own_due` what would be usual for it in this one,
        `own_day` its part of `mass`; `spread` the peers' dispersion; `market_due(end, size)` what is usual for all,
        `market_seen` what they did and the lift by which each was capped; `start` what the longest window's lift is
        shrunk to.
        """
        days = np.maximum((self.mass[0][market] - own_day) / SCALE, 1e-9)
        squares = np.maximum((self.mass[1][market] - fixed_square(own_day)) / SCALE, 0.0)
        shared = spread * np.minimum(squares / (days * days), 1.0)  # variance of the peers' sum beyond Poisson
        here = np.maximum(market_due(end, size), 1e-9)
        lift = np.ones(len(market)) * start
        for longer in [longer for longer in self.chain if longer >= size] or [size]:
            all_due = market_due(end, longer)
            own = own_due * (all_due / here)[market]
            all_seen, lifted = market_seen(end, longer)
            mine = np.minimum(own_count(longer), cap(own * lifted[market], self.kind))
            seen = np.maximum(all_seen[market] - mine, 0.0)
            due = np.maximum(all_due[market] - own, 0.0)
            less = 1.0 + shared * due
            events = due / less
            usual = lift * events
            off = seen / less - usual
            shock = off * off / (SHOCK * (1.0 + usual)) if longer >= DAY else 0.0  # minutes are of few creators
            strength = self.strength / (1.0 + shock)  # a shock is believed sooner
            lift = within((seen / less + strength * lift) / (events + strength), *LIFT_RANGE)
        return lift, 1.0 / ((events + strength) * np.minimum(lift, 1.0))


def cap(due: Floats, kind: str = "volume") -> Floats:
    """What one entity counts for at most among its peers: a runaway must not move its market."""
    times, more = CAPS[kind]
    return np.floor(times * due + more)


def fixed_square(day: Ints) -> Ints:
    """The square of a fixed-point number, in fixed point."""
    x = day / SCALE
    return fixed(np.minimum(x * x, 1e9))


def capped(value: Floats, own: Floats, market: Ints, due: Floats, kind: str) -> tuple[Floats, Floats]:
    """What the entities of each market did together, (n_markets,), and its lift, by which each of them is capped.

    From what they did in all down to where the caps and the lift agree: a shock to all stays, a runaway goes.
    """
    n, due = len(due), np.maximum(due, 1e-9)
    seen = add_up(market, fixed(value), n) / SCALE
    for _ in range(CAPPED_TIMES):
        before, lift = seen, within(seen / due, 1.0, LIFT_RANGE[1])
        seen = add_up(market, fixed(np.minimum(value, cap(own * lift[market], kind))), n) / SCALE
        if (seen == before).all():
            break  # so would every further time
    return seen, lift


class Peers:
    """What is usual in a cohort (a market's creators of one category), shrunk to its market."""

    FADE = 0.5 ** (TURN / (14 * DAY))  # a turn: a half-life of 14 days
    EVENTS = 20.0  # events that a cohort must have before its own rate weighs half against its market's
    START: ClassVar = {"volume": 1.0, "outcome": 0.05, "share": 0.05, "ratio": 0.5}  # before anything is known

    def __init__(self, people: Population, kind: str) -> None:
        self.people = people
        self.start = self.START[kind]
        self.by_size = kind != "volume"  # a rate is its orders' or trials' mean, a volume its creators'
        self.sums = np.zeros((2, 0))  # (2, n_cohorts) hits and exposure, faded
        self.rate = np.zeros(0)  # (n_cohorts,) events per unit of exposure

    def widen(self, cohorts: int) -> None:
        self.sums = widened(self.sums, cohorts)
        self.update()

    def learn(self, cohort: Ints, value: Floats, exposure: Floats) -> None:
        weight = 1.0 / (1.0 + exposure * self.rate[cohort] / self.EVENTS) if self.by_size else np.ones(len(value))
        n = len(self.rate)
        sums = np.stack([add_up(cohort, fixed(value * weight), n), add_up(cohort, fixed(exposure * weight), n)])
        self.sums = self.FADE * self.sums + sums / SCALE
        self.update()

    def update(self) -> None:
        """Cohorts shrink to their market, markets to START."""
        hits, exposure = self.sums
        market = self.people.cohort_market
        above = np.zeros((2, len(self.people.markets)))
        for cohort, m in enumerate(market.tolist()):  # in order: these are sums of floats
            above[:, m] += self.sums[:, cohort]
        parent = ((above[0] + 1.0) / (above[1] + 1.0 / self.start))[market]
        self.rate = (hits + self.EVENTS) / (exposure + self.EVENTS / parent)


class Spread:
    """How much counts vary beyond Poisson and beyond what the expectation's own errors explain.

    Two parts, learned from the windows of all entities, quiet ones included: what there is always, and what a lift
    adds, since creators share in their market's lift unevenly: variance beyond Poisson = (always + uneven *
    log(lift)**2) * mean**2. The first from calm windows, the second from lifted ones, so that a strike does not make
    everybody look restless.
    """

    UNEVEN = 0.16  # before anything is known: of the own lift per squared log of the market's
    ALWAYS: ClassVar = {  # before anything is known, worth so many large counts: how often people buy varies much, what
        "volume": (0.2, 5.0), "ratio": (0.2, 5.0), "outcome": (0.05, 20.0), "share": (0.05, 20.0),  # becomes of it less
    }  # fmt: skip
    CALM = 0.07  # squared log of a lift, up to which nothing lifts
    SHARD_WEIGHT = 50.0  # large counts after which a market's own figure weighs half against all markets' in the shard
    FADE = 0.5 ** (TURN / (7 * DAY))  # a turn: a half-life of 7 days
    SURPRISE_MAX: ClassVar = {"volume": 25.0, "ratio": 16.0, "outcome": 5.0, "share": 5.0}  # squared standard
    # deviations that a residual counts for at most: attacks are not noise

    def __init__(self, windows: int, kind: str) -> None:
        self.always_prior, self.prior_weight = self.ALWAYS[kind]
        self.surprise_max = self.SURPRISE_MAX[kind]
        self.sums = np.zeros((4, windows, 0))  # (4, n_windows, n_markets) variance and weight, calm and lifted; faded
        self._cache: dict[int, tuple[Floats, Floats]] = {}  # of _parts, until something is learned

    def widen(self, markets: int) -> None:
        self.sums = widened(self.sums, markets)
        self._cache.clear()

    def always(self, window: int, market: Ints) -> Floats:
        return self._parts(window)[0][market]

    def uneven(self, window: int, market: Ints, lift: Floats) -> Floats:
        log = np.log(lift)
        uneven: Floats = self._parts(window)[1][market] * log * log
        return uneven

    def _parts(self, window: int) -> tuple[Floats, Floats]:
        """Of each market, shrunk to the shard's, and that to the prior: counts have long tails, samples are few."""
        if window not in self._cache:
            mine, n = self.sums[:, window], self.prior_weight
            prior = np.array([self.always_prior, 1.0, self.UNEVEN, 1.0])[:, None] * n
            shard = in_order(mine.T)[:, None] + prior
            calm, lifted = (
                mine[a : a + 2] + shard[a : a + 2] * (self.SHARD_WEIGHT / shard[a + 1]) for a in (0, 2)
            )
            self._cache[window] = np.maximum(calm[0] / calm[1], 0.0), np.maximum(lifted[0] / lifted[1], 0.0)
        return self._cache[window]

    def learn(
        self, window: int, hop: int, market: Ints, value: Floats, mean: Floats, doubt: Floats, lift: Floats,
        chance: Floats,
    ) -> None:  # fmt: skip
        """`doubt` is the relative variance of the mean itself, `chance` the variance that there is anyway."""
        always, uneven = self.always(window, market), self.uneven(window, market, lift)
        square = mean * mean
        variance = chance + (always + uneven + doubt) * square
        residual = np.minimum((value - mean) * (value - mean), self.surprise_max * (1.0 + variance))
        say = mean / (1.0 + mean)  # by its precision: windows of few events tell next to nothing
        scale = (1.0 + mean) * (1.0 + mean) / np.maximum(say, 1e-9)
        beyond, weight = (residual - chance - doubt * square) / scale, square / scale
        log = np.log(lift)
        log = log * log
        calm, n = log < self.CALM, self.sums.shape[2]
        parts = (
            np.where(calm, beyond, 0.0), np.where(calm, weight, 0.0),
            np.where(calm, 0.0, (beyond - always * weight) * log), np.where(calm, 0.0, weight * log * log),
        )  # fmt: skip
        sums = np.stack([add_up(market, fixed(part), n) for part in parts])
        self.sums[:, window] = self.FADE ** max(hop // TURN, 1) * self.sums[:, window] + sums / SCALE
        self._cache.clear()
