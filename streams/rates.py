"""What a rate test expects of every creator: own level x the market's week x exposure x what its peers do right now.

One `RateWatch` serves one volume, outcome or share test. Its memory is numpy arrays, of its own (`STATE`) or of its
parts: the detector's level, and what market.py and delays.py learn of markets and cohorts.
"""

from typing import Any, NamedTuple

import numpy as np

from config.schema import Catalogue, Delay, Outcome, Ratio, Share, Volume, millis
from detectors.base import Bools, Floats, Ints, Observation, Score
from streams.calendar import Campaigns, shape_of_week
from streams.calibration import Calibration
from streams.delays import OUTCOME_DAYS, Delays
from streams.entities import UNBORN, Population
from streams.levels import Levels
from streams.market import (
    DAY,
    HOUR,
    LIFT_RANGE,
    REACH,
    SCALE,
    TURN,
    Lift,
    Peers,
    Series,
    Spread,
    Week,
    add_up,
    cap,
    capped,
    fixed,
    fixed_square,
    whole,
    widened,
    within,
)
from streams.money import Units
from streams.unrest import Unrest
from streams.windows import NEVER, Ring

__all__ = ["DAY", "HOUR", "OUTCOME_DAYS", "SCALE", "TURN", "Judged", "RateWatch"]

SURGE_SD = 1.5  # a day of outcomes is learned up to so many sd over what was expected of it
FIRST = 2 * DAY  # of learning, in which levels are found; only then how they vary
SUSPECT, HELD_DAYS = 1.5, 7  # score of a day, or of the longest window, that is not learned; for so many days
SHOCKED = 1.5  # nor is one on which the peers do so many times what they usually do, or so small a part of it
LATELY, SHOCK_EVENTS = 6 * HOUR, 5.0  # in which the week's profile looks for a shock, shrunk by so many events
SIEVE = 0.9  # of the least effect; below it nobody is scored
APART = 1.0  # relative variance of newcomers' levels: nobody knows yet how large one will be
KINDS = {Volume: "volume", Outcome: "outcome", Share: "share", Ratio: "ratio"}
BETWEEN = 0.5  # relative variance of the peers' levels before anything is known
LEVELLED = ("outcome", "share")  # whose prior is learned from the peers; sizes of creators differ too much for one
DOUBTED = {"volume": 0.5, "ratio": 0.5, "outcome": 1.0, "share": 1.0}  # part of the stated doubt that is taken off when
# counts' own variation is learned: where levels' prior is not learned, the doubt is at most so large
SHARE_MAX = 0.95  # a lift never expects a higher share than this
NOTHING = np.zeros(0)  # (0,) of nobody


class Counts(NamedTuple):
    """Rings of one measure, and what their cells are worth."""

    rings: dict[int, Ring]  # by pane, ms
    units: Units


class Judged(NamedTuple):
    """One window of one test for some entities."""

    slot: Ints  # (n,)
    x: Observation
    peer_rate: Floats  # (n,) the cohort's, per unit of exposure
    lift: Floats  # (n,) what the peers do now over what they usually do
    doubt: Floats  # (n,) relative variance of the lift and of a level learned from few days

    def of(self, some: Ints) -> "Judged":
        """The same for some of these entities."""
        if len(some) == len(self.slot):
            return self
        x = Observation(*(a[some] for a in self.x))  # type: ignore[arg-type]
        return Judged(self.slot[some], x, self.peer_rate[some], self.lift[some], self.doubt[some])


class RateWatch:
    """The memory and the arithmetic of one rate test."""

    STATE: tuple[str, ...] = (  # every attribute that changes; a part's are its own arrays
        "level", "since_fold", "of_since_fold", "own", "day", "rate_then", "total", "hours", "week", "lift", "peers",
        "spread", "levels", "calibration", "delays", "learning_since", "unrest", "held", "campaigns",
    )  # fmt: skip

    def __init__(
        self,
        test: Volume | Outcome | Share | Ratio,
        matcher: int,
        windows: list[tuple[int, int]],
        counts: Counts,
        of_counts: Counts,
        delays: dict[str, Delay],
        people: Population,
        catalogue: Catalogue,
        of_matcher: int | None = None,
    ) -> None:
        self.test: Any = test
        self.detector: Any = test.detector  # of the level
        self.matcher, self.of_matcher = matcher, of_matcher
        self.kind = KINDS[type(test)]
        self.beside = self.kind in ("share", "ratio")  # judged beside another count of the same window
        self.newcomers = millis(test.newcomers) if isinstance(test, Volume) and test.newcomers else None  # ms
        self.minimum, self.effect = test.minimum, test.effect  # the least that any override asks for
        self.windows = windows  # (size, hop) in ms
        self.base = min(hop for _, hop in windows)
        self.day_window = min(range(len(windows)), key=lambda w: abs(windows[w][0] - DAY))  # the nearest to a day
        self.rings, self.units = counts
        self.of_rings, self.of_units = of_counts  # a share's or an outcome's denominators
        self.people = people
        self.level: Any = self.detector.init(people.capacity)  # a NamedTuple of arrays, as the detector has it
        zeros = np.zeros(people.capacity, dtype=np.int64)
        self.held = zeros.copy()  # (capacity,) days in a row that were not learned, since they looked like a surge
        self.since_fold = zeros  # (capacity,) events since the last fold
        self.of_since_fold = zeros.copy()  # (capacity,) a share's trials likewise
        self.own = zeros.copy()  # (capacity,) fixed: own level, events per unit of exposure; 0 unborn
        self.day = zeros.copy()  # (capacity,) fixed: events that the last folded day would usually have had
        self.unrest = Unrest(people.capacity)
        self.rate_then = np.zeros(people.capacity)  # (capacity,) the peers' rate at the last fold
        self.total = np.zeros(0, dtype=np.int64)  # (n_markets,) fixed: the sum of the own levels
        sizes = [size for size, _ in windows]
        self.lift = Lift(self.base, sizes, self.kind)
        reach = max(DAY, *sizes) + max(hop for _, hop in windows) + REACH  # looked at up to a hop later, and again
        self.hours = Series(self.base, reach)  # the week's profile, in hours of average activity
        self.week = Week(lambda: shape_of_week(catalogue, list(people.markets)))
        self.campaigns = Campaigns(catalogue, people)
        self.peers = Peers(people, self.kind)
        self.spread = Spread(len(windows), self.kind)
        self.levels = Levels(BETWEEN)
        self.calibration = Calibration(len(windows))
        self.delays = Delays(delays, people)
        self.learning_since = NEVER  # ms, the first fold
        self.crowd: RateWatch | None = None  # of all creators, for a test of newcomers: too few to tell a campaign by
        self._seen: dict[tuple[int, int], tuple[Floats, Floats]] = {}  # of _market_seen, likewise
        self._due: dict[tuple[int, int], Floats] = {}  # of _market_due, until a pane closes or a level moves

    # -- growth ------------------------------------------------------------------------------------------------

    def grow(self) -> None:
        """Room for as many entities, markets and cohorts as there are."""
        more = self.people.capacity - len(self.own)
        if more:
            fresh = self.detector.init(more)
            self.level = type(fresh)(*(np.concatenate(pair) for pair in zip(self.level, fresh, strict=True)))
            zeros = np.zeros(more, dtype=np.int64)
            for name in ("since_fold", "of_since_fold", "own", "day", "held"):
                setattr(self, name, np.concatenate([getattr(self, name), zeros]))
            self.rate_then = np.concatenate([self.rate_then, np.zeros(more)])
            self.unrest.grow(self.people.capacity)
        markets, cohorts = len(self.people.markets), len(self.people.cohort_market)
        if markets > self.lift.mass.shape[1]:
            for part in (self.lift, self.hours, self.week, self.campaigns, self.spread, self.delays):
                part.widen(markets)
            self.total = widened(self.total, markets)
            self._forget_cache()
        if cohorts > len(self.peers.rate):
            self.peers.widen(cohorts)

    def born(self, slot: Ints) -> None:
        """New entities begin as typical peers."""
        if len(slot) and self.newcomers is None:
            self._set_own(slot, self.peers.rate[self.people.cohort[slot]])

    def forget(self, slot: Ints) -> None:
        self._set_own(slot, np.zeros(len(slot)))
        self._set_day(slot, np.zeros(len(slot), dtype=np.int64))
        fresh = self.detector.init(len(slot))
        for array, new in zip(self.level, fresh, strict=True):
            array[slot] = new
        self.since_fold[slot] = 0
        self.of_since_fold[slot] = 0
        self.rate_then[slot] = 0.0
        self.unrest.forget(slot)
        self.held[slot] = 0

    def jump(self) -> None:
        """After a gap in which everybody was forgotten."""
        for part in (self.lift, self.hours, self.delays):
            part.jump()
        self._forget_cache()

    def _set_own(self, slot: Ints, own: Floats) -> None:
        """The sums follow, so that what a market is due always stands at the levels of now."""
        market, change = self.people.market_of[slot], fixed(own) - self.own[slot]
        self.total += add_up(market, change, len(self.total))
        if self.kind == "outcome":
            per = None if self.of_units.plain else self.of_units.per(market)
            self.delays.relevel(slot, market, change, self.of_rings[DAY], per)
        self.own[slot] += change
        self._forget_cache()

    def _forget_cache(self) -> None:
        self._due.clear()
        self._seen.clear()

    def _set_day(self, slot: Ints, day: Ints) -> None:
        market, old, n = self.people.market_of[slot], self.day[slot], self.lift.mass.shape[1]
        self.lift.mass[0] += add_up(market, day - old, n)
        self.lift.mass[1] += add_up(market, fixed_square(day) - fixed_square(old), n)
        self.day[slot] = day

    def moved(self, end: int, hop: int) -> Ints:
        """Whose newest pane has an event; where too few may be strange, one that could have been."""
        slot = np.flatnonzero((self.of_rings if self.low and self.beside else self.rings)[hop].pane(end))
        return slot if self.newcomers is None else slot[self._is_new(end, slot)]

    @property
    def low(self) -> bool:
        """Whether too few are strange, instead of too many."""
        return getattr(self.detector, "side", "high") == "low"

    def _is_new(self, end: int, slot: Ints) -> Bools:
        """Who registered so short a time ago that newcomers are its peers."""
        assert self.newcomers is not None
        since = self.people.registered[slot]
        new: Bools = (since != UNBORN) & (since >= end - self.newcomers)
        return new

    def enough(self, end: int, window: int, slot: Ints) -> Bools:
        """Whose window has the minimum: nobody else can alarm, and most have not."""
        size, hop = self.windows[window]
        if self.low:
            return np.ones(len(slot), dtype=np.bool_)
        return self.units.of(self.rings[hop].window(end, size, slot), slot) >= self.minimum

    # -- what is expected --------------------------------------------------------------------------------------

    def _exposure(self, end: int, size: int, slot: Ints) -> Floats:
        """What the peers' rate is multiplied by: hours by their activity, orders that are due, or trials."""
        if self.beside:
            hop = next(hop for window, hop in self.windows if window == size)
            return self._exposure_of(end, size, hop, slot)
        return self._exposure_of(end, size, self.base, slot)

    def _exposure_of(self, end: int, size: int, hop: int, slot: Ints) -> Floats:
        if self.beside:
            return self.of_units.of(self.of_rings[hop].window(end, size, slot), slot)
        hours = self.hours.window(end, size)[self.people.market_of[slot]]
        if self.kind == "volume":
            return hours
        return self._orders_due(end, size, slot) * (hours * (HOUR / size))

    def _orders_due(self, end: int, size: int, slot: Ints) -> Floats:
        due = self.delays.exposure(end, size, slot, self.of_rings[DAY])
        return due if self.of_units.plain else due / self.of_units.per(self.people.market_of[slot])

    def observe(self, end: int, window: int, slot: Ints) -> Judged:
        """What these entities did in one window beside what is expected of them; not scored yet."""
        size, hop = self.windows[window]
        value = self.units.of(self.rings[hop].window(end, size, slot), slot)
        exposure = self._exposure(end, size, slot)
        judged = self._judged(end, window, size, slot, value, exposure, np.zeros(len(slot), dtype=np.bool_))
        if self.kind == "outcome" and not self.delays.settled(end):
            young = ~self.delays.tells(end)[self.people.market_of[slot]]
            expected = np.where(young, np.maximum(judged.x.expected, value), judged.x.expected)
            return judged._replace(x=judged.x._replace(expected=expected))  # nobody can say yet what is too many
        return judged

    def _judged(
        self, end: int, window: int, size: int, slot: Ints, value: Floats, exposure: Floats, learn: Bools
    ) -> Judged:
        market = self.people.market_of[slot]
        rate = self.peers.rate[self.people.cohort[slot]]
        usual = exposure * rate  # before any lift
        own = exposure * (self.own[slot] / SCALE)
        always = self.spread.always(window, market)
        lift, doubt = self.lift.now(
            end, size, market, lambda longer: self._count(end, longer, size, slot, value), own, self.day[slot], always,
            self._market_due, self._market_seen, self._crowd_lift(end, size)[market],
        )  # fmt: skip
        expected = np.maximum(usual * lift, 1e-9)
        if self.kind == "share":
            expected = np.minimum(expected, SHARE_MAX * exposure)
        doubt = doubt + (APART if self.newcomers is not None else 0.0)
        restless = self.unrest.ratio(slot, self.spread.always(self.day_window, market))
        dispersion = always * restless + self.spread.uneven(window, market, lift) + doubt
        n = len(slot)
        time, gap = np.full(n, end), np.zeros(n, dtype=np.int64)
        x = Observation(value, exposure, expected, dispersion, time, gap, np.zeros(n), learn, self._between(n))
        return Judged(slot, x, rate, lift, doubt)

    def _crowd_lift(self, end: int, size: int) -> Floats:
        """What newcomers' lift begins from: that of all creators of the market."""  # (n_markets,)
        if self.crowd is None:
            return np.ones(len(self.total))
        self.crowd.grow()
        return self.crowd.market_lift(end, size)

    def market_lift(self, end: int, size: int) -> Floats:
        """What everybody does in the window that is nearest to this size, over what they usually do."""
        window = min(range(len(self.windows)), key=lambda w: abs(self.windows[w][0] - size))
        nearest, market = self.windows[window][0], np.arange(len(self.total))
        zeros, none = np.zeros(len(market)), np.zeros(len(market), dtype=np.int64)
        always = self.spread.always(window, market)
        return self.lift.now(
            end, nearest, market, lambda _: zeros, zeros, none, always, self._market_due, self._market_seen
        )[0]

    def _between(self, n: int) -> Floats:
        """How much levels differ; 0 leaves it to the detector."""
        return np.full(n, self.levels.between() if self.kind in LEVELLED else 0.0)

    def _count(self, end: int, longer: int, size: int, slot: Ints, value: Floats) -> Floats:
        """What these entities did in the window of that size, up to its newest whole pane; `value` in this one."""
        if longer == size:
            return value
        hop = next(hop for window, hop in self.windows if window == longer)
        return np.maximum(value, self.units.of(self.rings[hop].window(end // hop * hop, longer, slot), slot))

    def _learn_unrest(self, slot: Ints, judged: Judged) -> None:
        x = judged.x
        mean = self._step(self.memory(slot), x._replace(learn=np.zeros_like(x.learn)))[1].expected
        always = self.spread.always(self.day_window, self.people.market_of[slot])
        own = always * self.unrest.ratio(slot, always)
        doubt = x.dispersion - own + self._level_doubt(slot, judged)
        self.unrest.learn(slot, x.value, mean, x.dispersion + always, doubt)

    def score(self, window: int, judged: Judged) -> Score:
        """Scored by the detector, and by how rare such a score has been in this window."""
        score = self._step(self.lifted(judged), judged.x)[1]
        return score._replace(score=self.calibration.calibrated(window, score.score, score.expected))

    def stands_out(self, judged: Judged) -> Bools:
        """Whether the effect may be large enough, by the level as it was last learned: a sieve, not the decision."""
        if self.kind == "share":
            return np.ones(len(judged.slot), dtype=np.bool_)
        then = self.rate_then[judged.slot]
        ratio = np.where(then > 0.0, self.own[judged.slot] / SCALE / np.maximum(then, 1e-12), 1.0)
        if self.kind == "outcome":
            part = 1.0 / np.maximum(judged.lift, 1.0)
            ratio = ratio * part + 1.0 - part
        usual = ratio * judged.x.expected
        if self.low:
            far: Bools = SIEVE * self.effect * judged.x.value <= usual
        else:
            far = judged.x.value >= SIEVE * self.effect * usual
        return far

    def worth_saying(self, value: Any, expected: Any, minimum: float, effect: float) -> Any:
        """Whether what was measured is much enough, and far enough from what was expected, to speak of."""
        if self.low:
            return (expected >= minimum) & (expected >= effect * value)
        return (value >= minimum) & (value >= effect * expected)

    def memory(self, slot: Ints) -> Any:
        """The detector's memory of these entities."""
        return type(self.level)(*(a[slot] for a in self.level))

    def lifted(self, judged: Judged) -> Any:
        """The memory as it stands in a market that is lifted: own events were learned in usual times.

        What befalls a market's orders (a strike, an outage) comes on top of what each creator usually has, and as often
        for each; so a lift is added to the own share or rate where it is over 1, and multiplies it below.
        """
        memory = self.memory(judged.slot)
        if self.kind == "share":
            more = np.where(judged.lift > 1.0, memory.trials * judged.peer_rate, memory.hits) * (judged.lift - 1.0)
            return memory._replace(hits=np.minimum(memory.hits + more, SHARE_MAX * memory.trials))
        if self.kind == "outcome":
            part = 1.0 / np.maximum(judged.lift, 1.0)
            return memory._replace(hits=memory.hits * part + memory.mass * (1.0 - part))
        return memory

    def _step(self, state: Any, x: Observation) -> tuple[Any, Score]:
        after, score = self.detector.step(state, x)
        return after, score

    # -- what is learned ---------------------------------------------------------------------------------------

    def close_pane(self, end: int) -> None:
        """A base pane is over: count it for the entities and for the markets."""
        if end % self.base:
            return
        self.grow()
        row = self.rings[self.base].pane(end)
        slot = np.flatnonzero(row)
        raw = row[slot].astype(np.int64)
        self.since_fold[slot] += raw
        if not self.beside:
            self.hours.append(end, fixed(self.week.profile(end) * self._calendar(end) * (self.base / HOUR)))
        if self.newcomers is not None:
            slot = slot[self._is_new(end, slot)]
            raw = row[slot].astype(np.int64)
        value = self.units.of(raw, slot)
        seen = add_up(self.people.market_of[slot], fixed(value), len(self.total))
        self.lift.seen.append(end, seen)
        if self.kind != "volume":
            self._count_exposure(end)
        else:
            self.campaigns.learn(end, self.base, seen, self._market_due(end, self.base), SCALE)
        self._forget_cache()

    def _calendar(self, end: int) -> Floats | float:
        """What campaigns in force in the base pane that ends now add to volumes."""  # (n_markets,)
        return self.campaigns.lift(end - self.base) if self.kind == "volume" else 1.0

    def _count_exposure(self, end: int) -> None:
        """The trials or orders of the base pane that ends now, at their entities' levels."""
        row = self.of_rings[self.base].pane(end)
        slot = np.flatnonzero(row)
        market, raw = self.people.market_of[slot], row[slot].astype(np.int64)
        if self.of_units.plain:
            brings = raw * self.own[slot]
        else:
            brings = whole(raw / self.of_units.per(market) * self.own[slot])
        if self.beside:
            self.of_since_fold[slot] += row[slot]
            self.lift.due.append(end, add_up(market, brings, len(self.total)))
        else:
            self.delays.take_in(end, self.base, market, brings)

    def _market_due(self, end: int, size: int) -> Floats:
        """What all entities together would usually do in [end - size, end)."""  # (n_markets,)
        due = self._due.get((end, size))
        if due is None:
            due = self._due[end, size] = self._market_due_now(end, size)
        return due

    def _market_due_now(self, end: int, size: int) -> Floats:
        if self.beside:
            return self.lift.due.window(end, size)
        hours = self.hours.window(end, size)
        if self.kind == "volume":
            return self.total / SCALE * hours
        return self.delays.due(end, size) * (hours * (HOUR / size))

    def _market_seen(self, end: int, size: int) -> tuple[Floats, Floats]:
        """What all entities together did in the newest whole window of that size, and the lift that caps each."""
        seen = self._seen.get((end, size))
        if seen is None:
            hop = next((hop for window, hop in self.windows if window == size), 0)
            if not hop:  # no ring reaches so far back
                whole = self.lift.seen.window(end, size)
                return whole, np.full(len(whole), LIFT_RANGE[1])
            at = end // hop * hop
            count = self.rings[hop].everybody(at, size)
            slot = np.flatnonzero(count)
            if self.newcomers is not None:
                slot = slot[self._is_new(end, slot)]
            own = self._exposure_of(at, size, hop, slot) * (self.own[slot] / SCALE)
            value, market = self.units.of(count[slot], slot), self.people.market_of[slot]
            seen = self._seen[end, size] = capped(value, own, market, self._market_due(end, size), self.kind)
        return seen

    def learn(self, end: int, slot: Ints, kept_out: Ints) -> None:
        """A turn is over: these entities fold their last day.

        Those that are kept out have an episode, which is not to become usual.
        """
        if not self._young_stream(end):
            self._learn_spread(end, kept_out)
        if self.newcomers is not None:
            slot = self._only_newcomers(end, slot)
        if not len(slot):  # nobody's turn: what peers and levels have learned fades
            self.peers.learn(slot, NOTHING, NOTHING)
            if self.kind in LEVELLED and not self._young_stream(end):
                self.levels.learn(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING > 0.0)
            return
        frozen = np.isin(slot, kept_out)
        if self.kind == "outcome":
            frozen |= ~self.delays.ripe(end, DAY)[self.people.market_of[slot]]
        cohort = self.people.cohort[slot]
        value = self.units.of(self.since_fold[slot], slot)
        exposure = self._day_exposure(end, slot)
        judged = self._judged(end, self.day_window, DAY, slot, value, exposure, ~frozen)
        if not self._young_stream(end):
            frozen |= self._held(end, slot, judged.lift)
            judged = judged._replace(x=judged.x._replace(learn=~frozen))
        if self.learning_since == NEVER and not frozen.all():
            self.learning_since = end
        if self.kind == "volume" and not self._young_stream(end):
            self._learn_unrest(slot, judged)
        stays, x = self._usual_day(end, exposure, judged)
        own = exposure * (self.own[slot] / SCALE)
        keep = ~frozen
        if self._young_stream(end):  # all that is seen is usual: what was there before is a guess
            self.peers.learn(cohort[keep], value[keep], exposure[keep])
        else:
            self.peers.learn(cohort[keep], np.minimum(value, cap(own, self.kind))[keep], (exposure * stays)[keep])
            if self.kind in LEVELLED:
                self._learn_levels(slot, judged, keep)
        state = self._fold(slot, frozen, judged.peer_rate, x)
        self._set_day(slot, fixed(own))
        self._set_own(slot, self._own_level(state, judged.peer_rate))
        self.since_fold[slot] = 0
        self.of_since_fold[slot] = 0

    def _learn_levels(self, slot: Ints, judged: Judged, keep: Bools) -> None:
        before, x = self.memory(slot), judged.x
        if self.kind == "share":
            share = judged.peer_rate
            self.levels.learn(before.hits, before.trials * share, x.value, x.expected, keep)
        else:
            self.levels.learn(before.hits, before.mass, x.value, x.expected, keep)

    def _only_newcomers(self, end: int, slot: Ints) -> Ints:
        """Those of them; who has just ceased to be one is no longer part of what newcomers do."""
        new = self._is_new(end, slot)
        old = slot[~new & (self.own[slot] > 0)]
        self._set_own(old, np.zeros(len(old)))
        self._set_day(old, np.zeros(len(old), dtype=np.int64))
        self.since_fold[slot[~new]] = 0
        return slot[new]

    def _usual_day(self, end: int, exposure: Floats, judged: Judged) -> tuple[Floats, Observation]:
        """What of a lift is taken to stay, and the day as the levels learn it.

        Half of it, in logs: in the long run that pins the lift to 1, as nothing else would. In a young stream all of
        it: it tells what is usual.
        """
        stays = judged.lift if self._young_stream(end) else np.sqrt(judged.lift)
        mass = np.maximum(exposure * judged.peer_rate * stays, 1e-9)
        if self.kind == "share":
            mass = np.minimum(mass, SHARE_MAX * exposure)
        doubt = np.log(stays)
        return stays, judged.x._replace(expected=mass, dispersion=judged.x.dispersion + doubt * doubt)

    def _held(self, end: int, slot: Ints, lift: Floats) -> Bools:
        """Whose day is unlike others: for some days in a row that is not learned, then it is how things are now.

        What befalls the market (a strike, a campaign) says nothing of levels; outcomes may look like the beginning of a
        surge.
        """
        unlike: Bools = ((lift > SHOCKED) | (lift < 1.0 / SHOCKED)) & (self.newcomers is None)  # newcomers are few
        if self.kind == "outcome":
            worst = np.zeros(len(slot))
            for window in sorted({self.day_window, len(self.windows) - 1}):
                worst = np.maximum(worst, self.score(window, self.observe(end, window, slot)).score)
            unlike = unlike | (worst >= SUSPECT)
        held: Bools = unlike & (self.held[slot] < HELD_DAYS)
        self.held[slot] = np.where(held, self.held[slot] + 1, np.where(unlike, self.held[slot], 0))
        return held

    def _young_stream(self, end: int) -> bool:
        return self.learning_since == NEVER or end - self.learning_since < FIRST

    def _day_exposure(self, end: int, slot: Ints) -> Floats:
        if self.beside:
            return self.of_units.of(self.of_since_fold[slot], slot)
        if self.kind == "outcome":
            hours = self.hours.window(end, DAY)[self.people.market_of[slot]]
            return self._orders_due(end, DAY, slot) * (hours * (HOUR / DAY))
        born = np.minimum(np.maximum(self.people.born[slot], end - DAY), end)
        return self.hours.since(end, born, self.people.market_of[slot])

    def _fold(self, slot: Ints, frozen: Bools, rate: Floats, x: Observation) -> Any:
        """The levels learn the day; what led to an open episode is not learned either."""
        memory = self.memory(slot)
        if self.kind != "share":  # masses are in units of the peers' rate, which has moved on
            moved = rate / np.where(self.rate_then[slot] > 0.0, self.rate_then[slot], rate)
            memory = memory._replace(mass=memory.mass * moved, pending_mass=memory.pending_mass * moved)
        self.rate_then[slot] = rate
        if self.kind in ("outcome", "ratio"):  # a surge is not to become usual inside its own window
            usual = self._step(memory, x._replace(learn=np.zeros_like(x.learn)))[1].expected
            doubt = x.dispersion + 1.0 / (self.detector.strength(x.between) + memory.hits)
            most = usual + SURGE_SD * np.sqrt(usual + doubt * usual * usual) + 1.0
            x = x._replace(value=np.minimum(x.value, np.ceil(most)))
        state, _ = self._step(memory, x)
        for array, new in zip(self.level, state, strict=True):
            array[slot] = new
        for name in ("pending_value", "pending_mass", "pending_trials"):
            if hasattr(self.level, name):
                getattr(self.level, name)[slot[frozen]] = 0.0
        return state

    def _own_level(self, state: Any, rate: Floats) -> Floats:
        """Events per unit of exposure, as the detector's memory has it."""
        n = len(rate)
        zeros, none = np.zeros(n), np.zeros(n, dtype=np.int64)
        unseen = np.zeros(n, dtype=np.bool_)
        x = Observation(zeros, np.ones(n), rate, zeros, none, none, zeros, unseen, self._between(n))
        level: Floats = self._step(state, x)[1].expected
        return level

    def learn_hour(self, end: int) -> None:
        """The market's week learns the hour. Shares have no hours: one with more trials has more hits."""
        if self.beside:
            return
        quiet = 1.0 if self.kind != "volume" else self.campaigns.lift(end - HOUR)
        seen, due = self.lift.seen.window(end, HOUR), self._market_due(end, HOUR)
        flat = due / np.maximum(self.hours.window(end, HOUR), 1e-9)
        lately = self.lift.seen.window(end, LATELY) + SHOCK_EVENTS
        lift = lately / (self._market_due(end, LATELY) + SHOCK_EVENTS)
        seen = seen * (within(lift, 1.0 / SHOCKED, SHOCKED) / lift)  # a shock is no weekday's habit
        if self.kind == "outcome":  # of orders from before the stream nobody can say how many are due
            told = self.delays.ripe(end, DAY)
            seen, flat = np.where(told, seen, 0.0), np.where(told, flat, 0.0)
        self.week.learn(end, seen / quiet, flat, levelled=not self._young_stream(end))

    def _learn_spread(self, end: int, kept_out: Ints) -> None:
        """How much the windows of an eighth of the entities vary, quiet ones too; everybody at a new hour each day."""
        people, known = self.people, self.level.trials if self.kind == "share" else self.level.mass
        turns = DAY // TURN
        turn = (people.entities.hashes[: people.capacity] // turns + end // DAY * 3) % turns == end // TURN % turns
        slot = np.flatnonzero(turn & (people.born != UNBORN) & (known > 0.0))
        slot = slot[~np.isin(slot, kept_out)]
        if self.newcomers is not None:
            slot = slot[self._is_new(end, slot)]
        market = people.market_of[slot]
        for window, (_, hop) in enumerate(self.windows):
            if end % hop == 0:
                if not len(slot):  # what was learned fades
                    self.calibration.learn(window, hop, NOTHING, NOTHING)
                    self.spread.learn(window, hop, market, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)
                    continue
                judged = self.observe(end, window, slot)
                level = self.own[slot] / np.maximum(judged.peer_rate, 1e-12) / SCALE
                doubt = DOUBTED[self.kind] * (judged.doubt + self._level_doubt(slot, judged))
                score = self._step(self.lifted(judged), judged.x)[1]
                self.calibration.learn(window, hop, score.score, score.expected)
                mean = judged.x.expected * level
                chance = self._chance(mean, judged.x.exposure)
                self.spread.learn(window, hop, market, judged.x.value, mean, doubt, judged.lift, chance)

    def _chance(self, mean: Floats, exposure: Floats) -> Floats:
        """The variance that chance alone brings: a count's mean; hits are part of their trials, and vary less."""
        if self.kind != "share":
            return mean
        return mean * (1.0 - np.minimum(mean / np.maximum(exposure, 1e-9), SHARE_MAX))

    def _level_doubt(self, slot: Ints, judged: Judged) -> Floats:
        """Relative variance of the own level, as its detector holds it."""
        between = judged.x.between
        if self.kind == "share":
            share = np.clip(judged.x.expected / np.maximum(judged.x.exposure, 1e-9), 1e-6, 1.0)
            strength = self.detector.strength(between, share)
            doubt: Floats = (1.0 - share) / (share * (strength + self.level.trials[slot]))
            return doubt
        doubt = 1.0 / (self.detector.strength(between) + self.level.hits[slot])
        return doubt

