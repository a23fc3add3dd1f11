"""Every detector that a series may name runs in the engine: finite, and the same bytes however it is fed or resumed."""

import typing
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest

from config.schema import Catalogue, SeriesDetector, Severity
from streams import state
from streams.columns import Record
from streams.engine import Engine
from streams.series import PROMISES, SeriesWatch
from tests.streamed import HOUR, START, TOPIC, Result, event, keep, numbered, run, shipped

DETECTORS = {kind.__struct_config__.tag: kind for kind in typing.get_args(SeriesDetector)}
SMALL: dict[str, dict[str, Any]] = {  # short memories and warmups
    "bocpd": {"runs": 4}, "broken_trend": {"shortest": 2, "window": 8}, "ewma_chart": {"warmup": 3},
    "ensemble": {"members": [{"type": "ewma_z", "warmup": 3}, {"type": "robust_z", "window": 5, "warmup": 3}]},
    "ewma_z": {"warmup": 3}, "gaussian_cusum": {"warmup": 3}, "gaussian_focus": {"shortest": 2, "candidates": 4},
    "nearest_neighbours": {"lags": 2, "every": 2, "library": 4, "k": 2, "warmup": 1}, "page_hinkley": {"warmup": 3},
    "peaks_over_threshold": {"warmup": 3}, "relative_entropy": {"window": 4, "warmup": 5, "bins": 3, "references": 2},
    "robust_z": {"window": 5, "warmup": 3}, "seasonal_residual": {"warmup_hours": 1},
}  # fmt: skip
HOURS, BUSY = 144, (126, 138)  # of the stream; of one creator
every_detector = pytest.mark.parametrize("tag", sorted(DETECTORS))


@cache
def catalogue() -> Catalogue:
    """A signal for each detector, named by its tag, with marks so low that much is said."""
    change, base = msgspec.structs.replace, shipped()
    shown = base.signals["refund_rate"]
    test = change(shown.tests[3], measure="orders", of=None, severity=Severity(info=-1.0, warning=2.0))
    signals = {}
    for tag, kind in DETECTORS.items():
        detector = msgspec.convert(SMALL.get(tag, {}), kind)
        signals[tag] = change(
            shown, tests=[change(test, detector=detector)], overrides=[], warmup="3h", resolve_after="3h", cooldown="1h"
        )
    engine, markets = change(base.engine, pane="1h"), {"default": base.markets["default"]}
    return change(base, engine=engine, markets=markets, groups={}, calendar={}, signals=signals)


@cache
def records() -> list[Record]:
    """Few orders an hour of five creators; c1 is busy for a while, c3 is away for a while, and c4 comes late."""
    rng, rows = np.random.default_rng(3), []
    for hour in range(HOURS):
        for who in range(5):
            if (who == 3 and 100 < hour < 120) or (who == 4 and hour < 30):
                continue
            often = (3 if who else 1) * (6 if who == 1 and BUSY[0] <= hour < BUSY[1] else 1)
            at = START + hour * HOUR + rng.integers(0, HOUR, int(rng.poisson(often)))
            rows += [(when, f"{who}-{hour}-{i}", f"c{who}") for i, when in enumerate(at.tolist())]
    return numbered(event(name, "order.paid", who, at) for at, name, who in sorted(rows))


@cache
def whole() -> tuple[Engine, Result]:
    return run(records(), catalogue())


@cache
def resumed() -> Result:
    """In runs of any length, from a checkpoint in the middle of the busy hours."""
    first, out, n = Engine(catalogue(), TOPIC, 0), Result(), len(records())
    edges = [0, *sorted(set(np.random.default_rng(1).integers(1, n, 60).tolist()) | {n * 9 // 10}), n]
    engine = first
    for start, stop in pairwise(edges):
        if start == n * 9 // 10:
            engine = Engine(catalogue(), TOPIC, 0)
            state.restore(engine, state.take(first))
            engine.prefill(records()[:start])
            engine.feed([])
        keep(out, engine.feed(records()[start:stop]))
    assert engine is not first
    keep(out, engine.close())
    return out


def lines(result: Result, tag: str) -> list[bytes]:
    return [line for line, alert in zip(result.lines, result.alerts, strict=True) if alert.signal == tag]


def watch_of(tag: str) -> SeriesWatch:
    engine = whole()[0]
    watch = engine.plan.watches[engine.plan.names.index(tag)][0]
    assert isinstance(watch, SeriesWatch)
    return watch


def test_there_are_as_many_detectors_as_the_schema_has() -> None:
    assert len(DETECTORS) == 17
    assert SMALL.keys() <= DETECTORS.keys()


@every_detector
def test_a_detector_speaks_in_finite_numbers_of_any_size_of_creator(tag: str) -> None:
    watch = watch_of(tag)
    slots = np.sort(list(whole()[0].entities.slots.values()))
    assert (watch.stepped[slots] > 0).sum() >= 4  # who has an episode from the start is not learned, so not known
    end = START + HOURS * HOUR
    told = watch.score(0, watch.observe(end, 0, slots))
    for numbers in (watch.told, told.score, told.expected):
        assert np.isfinite(numbers).all()
    assert (told.score >= 0.0).all()
    alerts = [a for a in whole()[1].alerts if a.signal == tag]
    assert all(np.isfinite([a.score, a.observed, a.expected]).all() for a in alerts)
    assert {a.detector for a in alerts} == {tag}


@every_detector
def test_other_runs_and_a_checkpoint_in_the_middle_give_the_same_bytes(tag: str) -> None:
    expected = lines(whole()[1], tag)
    assert len(expected) >= 2
    assert lines(resumed(), tag) == expected


@every_detector
def test_a_score_without_a_promise_is_ranked_among_the_creators_own(tag: str) -> None:
    watch = watch_of(tag)
    assert watch.ranked == (DETECTORS[tag] not in PROMISES)
    if watch.ranked:  # of 40 past scores none can be rarer than the rank and as many decades again
        assert watch.told.max() <= 2.0 * np.log10(HOURS)
    alert = next(a for a in whole()[1].alerts if a.signal == tag)
    assert (alert.p_value is None) == (tag == "count_shift")


def test_who_is_asked_about_beside_others_is_told_the_same() -> None:
    engine, end = whole()[0], START + HOURS * HOUR
    slots = np.array([engine.entities.slot(f"c{who}", "TH") for who in (4, 0, 3)])
    for tag in DETECTORS:
        watch = watch_of(tag)
        together = watch.score(0, watch.observe(end, 0, slots)).score
        alone = [watch.score(0, watch.observe(end, 0, slots[i : i + 1])).score[0] for i in range(3)]
        assert together.tolist() == alone, tag
