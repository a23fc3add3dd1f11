"""A test of kind `series`: pane after pane of a count, beside its expectation, judged by whatever detector it names.

What a window can't see: a rise that is small but lasts, a ramp so slow that a level learned of late would follow it, a
shape that never was. The expectation is that of a volume or an outcome test, with a longer memory; the detector has a
memory of its own for every entity, and steps when the entity did something, the quiet panes before it included.
"""

from typing import Any

import numpy as np

from config.schema import Outcome, Series, Volume
from detectors.base import SCORE_MAX, Bools, Floats, Ints, Observation, Score
from detectors.conformal import ConformalRank, ranked
from detectors.negative_binomial import NegativeBinomialTail
from detectors.predictive import PredictiveTail
from detectors.shift import CountShift
from detectors.tails import surprise
from streams.rates import DAY, HOUR, SCALE, Judged, RateWatch

LEVEL = NegativeBinomialTail(memory=90.0, dispersion_prior=20.0)  # days: a ramp of weeks is not to become usual
PROMISES = (CountShift, PredictiveTail)  # their scores say how rare they are; others' are ranked among the entity's own
RANK = ConformalRank()
DAYS_KNOWN = 4  # learned days before which nothing is told of a creator: the error of a guess is the same pane after
# pane, and adds up like a change
SILENT, DUE_MIN = 7 * DAY, 0.01  # quiet for so long, and fewer events due in a day: nothing could refute the score


def expectation_of(test: Series) -> Volume | Outcome:
    """The test that would expect the same of each pane."""
    common: dict[str, Any] = {"windows": test.windows, "severity": test.severity, "measure": test.measure,
                              "minimum": test.minimum, "effect": test.effect, "detector": LEVEL}  # fmt: skip
    return Volume(**common) if test.of is None else Outcome(**common, of=test.of, minimum_of=test.minimum_of)


class SeriesWatch(RateWatch):
    """A `RateWatch` for the expectation, and the named detector's memory beside it."""

    STATE = (*RateWatch.STATE, "series", "past", "stepped", "told", "days")

    def __init__(self, test: Series, *args: Any) -> None:
        super().__init__(expectation_of(test), *args)
        self.test: Any = test
        self.teller: Any = test.detector
        self.ranked = not isinstance(test.detector, PROMISES)
        self.series: Any = self.teller.init(self.people.capacity)
        self.past: Any = RANK.init(self.people.capacity) if self.ranked else ()
        self.stepped = np.zeros(self.people.capacity, dtype=np.int64)  # (capacity,) ms, the last pane's end; 0: never
        self.told = np.zeros(self.people.capacity)  # (capacity,) the score then
        self.days = np.zeros(self.people.capacity, dtype=np.int64)  # (capacity,) that the level has learned

    def grow(self) -> None:
        more = self.people.capacity - len(self.told)
        super().grow()
        if more:
            self.series = _longer(self.series, self.teller.init(more))
            if self.ranked:
                self.past = _longer(self.past, RANK.init(more))
            self.stepped = np.concatenate([self.stepped, np.zeros(more, dtype=np.int64)])
            self.told = np.concatenate([self.told, np.zeros(more)])
            self.days = np.concatenate([self.days, np.zeros(more, dtype=np.int64)])

    def forget(self, slot: Ints) -> None:
        super().forget(slot)
        _put(self.series, slot, self.teller.init(len(slot)))
        if self.ranked:
            _put(self.past, slot, RANK.init(len(slot)))
        self.stepped[slot] = 0
        self.told[slot] = 0.0
        self.days[slot] = 0

    def close_pane(self, end: int) -> None:
        super().close_pane(end)
        if end % self.base == 0 and not self._young_stream(end):
            slot = self.moved(end, self.base)
            slot = slot[self.days[slot] >= DAYS_KNOWN]
            if len(slot):
                self._step_on(end, slot)

    def _fold(self, slot: Ints, frozen: Bools, rate: Floats, x: Observation) -> Any:
        self.days[slot] += ~frozen & (x.exposure > 0.0)
        return super()._fold(slot, frozen, rate, x)

    def _step_on(self, end: int, slot: Ints) -> None:
        x = self._pane(end, self.observe(end, 0, slot))
        before = _pick(self.series, slot)
        after, score = self.teller.step(before, x)
        told = score.score
        if self.ranked:
            past, p = ranked(RANK, _pick(self.past, slot), self.teller, before, told, x.learn)
            _put(self.past, slot, past)
            told = surprise(p)
        _put(self.series, slot, after)
        self.stepped[slot], self.told[slot] = end, np.minimum(told, SCORE_MAX)

    def _pane(self, end: int, judged: Judged) -> Observation:
        """The pane as the detector is to see it, the quiet panes before it told.

        Expected is what the entity's own level says, times the least effect: what stays below that never adds up.
        """
        slot = judged.slot
        expected = self.test.effect * self._step(self.lifted(judged), judged.x)[1].expected
        since = np.where(self.stepped[slot] > 0, self.stepped[slot], end - self.base)
        gap = np.maximum((end - since) // self.base - 1, 0)
        usual = expected
        if self.kind == "volume":
            hour = self.own[slot] / SCALE  # of the average: a gap has all of them
            usual = self.test.effect * hour * (self.base / HOUR)
        doubt = judged.x.dispersion + self._level_doubt(slot, judged)
        return judged.x._replace(
            expected=np.maximum(expected, 1e-9), dispersion=doubt, gap=gap, gap_expected=gap * usual,
            learn=np.ones(len(slot), dtype=np.bool_),
        )  # fmt: skip

    def enough(self, end: int, window: int, slot: Ints) -> Bools:
        """Everybody: what matters came before."""
        return np.ones(len(slot), dtype=np.bool_)

    def stands_out(self, judged: Judged) -> Bools:
        return np.ones(len(judged.slot), dtype=np.bool_)

    def worth_saying(self, value: Any, expected: Any, minimum: float, effect: float) -> Any:
        """Whether the pane itself speaks for it; how large the effect must be is in the score already."""
        return (value >= minimum) & (value >= expected)

    def score(self, window: int, judged: Judged) -> Score:
        """What the detector said when the entity stepped; of those that are quiet, what it says of that."""
        slot, end = judged.slot, judged.x.time
        x = self._pane(int(end[0]), judged) if len(slot) else judged.x
        told = self.told[slot].copy()
        quiet = np.flatnonzero((self.stepped[slot] < end) & (self.stepped[slot] > 0))
        if len(quiet):
            still = Observation(*(a[quiet] for a in x))._replace(learn=np.zeros(len(quiet), dtype=np.bool_))  # type: ignore[arg-type]
            before = _pick(self.series, slot[quiet])
            now = self.teller.step(before, still)[1].score
            if self.ranked:
                now = surprise(ranked(RANK, _pick(self.past, slot[quiet]), self.teller, before, now, still.learn)[1])
            over = (end[quiet] - self.stepped[slot[quiet]] >= SILENT) & (still.expected * (DAY / self.base) < DUE_MIN)
            told[quiet] = np.where(over, 0.0, np.minimum(now, SCORE_MAX))
        return Score(told, x.expected / self.test.effect, np.full(len(slot), np.nan))

    def began(self, slot: int) -> int:
        """When the change behind the score began, ms; -1 where the detector does not say."""
        dated = getattr(self.teller, "changed_at", None)
        return -1 if dated is None else int(dated(_pick(self.series, np.array([slot])))[0])


def _pick(state: Any, slot: Ints) -> Any:
    return type(state)(*(np.ascontiguousarray(a[slot]) for a in state))


def _put(state: Any, slot: Ints, new: Any) -> None:
    for array, part in zip(state, new, strict=True):
        array[slot] = part


def _longer(state: Any, more: Any) -> Any:
    return type(state)(*(np.concatenate(pair) for pair in zip(state, more, strict=True)))
