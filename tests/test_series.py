"""Tests of kind `series`: what creeps and what lasts, whom it leaves alone, and how its evidence ends."""

from functools import cache

import msgspec
import numpy as np
import pytest
from msgspec.json import decode

from config.schema import Catalogue, Delay, Series, Severity
from detectors.ewma import EwmaZ
from detectors.predictive import PredictiveTail
from detectors.shift import CountShift
from streams.columns import Record
from streams.engine import Engine
from streams.records import Alert
from streams.series import SeriesWatch
from tests.streamed import DAY, HOUR, START, TOPIC, event, numbered, run, shipped

DAYS, ORDERS, USUAL = 60, 30, 0.05  # of the stream; a day; the share of them that is refunded
RAMP, STEP, STOPPED = (14, 56), 30, 38  # days
change = msgspec.structs.replace


def catalogue(**tests: list[int]) -> Catalogue:
    """Signals of these tests of refund_rate; refunds come within about a day."""
    base = shipped()
    signal = base.signals["refund_rate"]
    signals = {name: change(signal, tests=[signal.tests[i] for i in of], overrides=[]) for name, of in tests.items()}
    quick = change(base.markets["default"], delays={"refund.approved": Delay(mean="1d")})
    engine = change(base.engine, pane="1h")
    return change(base, engine=engine, markets={"default": quick}, groups={}, calendar={}, signals=signals)


def share(who: int, day: np.ndarray) -> np.ndarray:
    """Of the orders of that day, those that are refunded later."""
    if who == 0:  # the frog: from 5 % to 20 % within six weeks
        return USUAL + 0.15 * np.clip((day - RAMP[0]) / (RAMP[1] - RAMP[0]), 0.0, 1.0)
    return np.where((day > STEP) & (who in (1, 2)), 4 * USUAL, USUAL)


def stream(seed: int) -> list[Record]:
    """c0 creeps, c1 steps up, c2 likewise and then sells no more; the others stay as they are."""
    rng, rows = np.random.default_rng(seed), []
    for who in range(8):
        at = np.sort(START + rng.integers(0, DAYS * DAY, DAYS * ORDERS))
        back = rng.random(len(at)) < share(who, (at - START) / DAY)
        late = at + rng.gamma(2.0, DAY / 2, len(at)).astype(np.int64)
        for i, (ordered, refunded, when) in enumerate(zip(at.tolist(), back.tolist(), late.tolist(), strict=True)):
            if who == 2 and ordered > START + STOPPED * DAY:
                break
            rows.append((ordered, f"{who}-{i}", "order.paid", f"c{who}", {}))
            if refunded:
                rows.append((when, f"{who}-{i}r", "refund.approved", f"c{who}", {"attrs": {"ref_at": ordered}}))
    rows.sort(key=lambda row: row[:2])
    return numbered(event(name, kind, who, at, **more) for at, name, kind, who, more in rows)


@cache
def said() -> list[Alert]:
    """By the shipped series test alone as `creeping`, and by the shipped windows alone as `surging`."""
    return run(stream(3), catalogue(creeping=[3], surging=[0]))[1].alerts


def opened(signal: str, creator: str) -> Alert | None:
    found = [a for a in said() if (a.signal, a.entity.id, a.status) == (signal, creator, "opened")]
    assert len(found) <= 1
    return found[0] if found else None


def test_a_share_that_creeps_up_for_weeks_is_told_by_the_series_alone() -> None:
    """The windows never speak: no window of a week ever has 2.5 times what the level by then expects."""
    creeping = opened("creeping", "c0")
    assert isinstance(shipped().signals["refund_rate"].tests[3], Series)
    assert creeping is not None
    assert creeping.detector == "count_shift"
    assert RAMP[0] * DAY < creeping.opened_at - START < RAMP[1] * DAY
    assert opened("surging", "c0") is None


def test_of_steady_creators_nothing_is_said_though_others_change() -> None:
    assert {a.entity.id for a in said()} <= {"c0", "c1", "c2"}


def test_the_change_is_dated_and_the_sentence_names_the_day() -> None:
    """Refunds follow a day after their orders; dates of a change this small are good to some days."""
    for creator in ("c1", "c2"):
        alert = opened("creeping", creator)
        assert alert is not None
        assert alert.changed_at is not None
        assert abs(alert.changed_at - (START + (STEP + 1) * DAY)) <= 3 * DAY
        day = np.datetime64(alert.changed_at, "ms").astype("datetime64[D]")
        assert f"off their usual level since {day}" in alert.reason
        assert alert.reason_code == "series"


def test_no_single_pane_clears_a_series_and_its_score_is_no_p_value() -> None:
    alerts = [a for a in said() if a.signal == "creeping"]
    assert len(alerts) >= 5
    assert {(a.clears_at, a.p_value, a.window) for a in alerts} == {(None, None, "PT1H")}


def test_the_episode_of_a_creator_that_sells_no_more_is_resolved() -> None:
    """Nothing is due from it, so that nothing could ever refute what was found."""
    alerts = [a for a in said() if (a.signal, a.entity.id) == ("creeping", "c2")]
    assert [a.status for a in alerts].count("opened") == 1
    assert (alerts[-1].status, alerts[-1].status_reason) == ("resolved", "silent")
    assert 7 * DAY < alerts[-1].window_end - (START + STOPPED * DAY) < 16 * DAY


def test_the_episode_of_one_that_goes_on_selling_stays_open() -> None:
    assert {a.status for a in said() if (a.signal, a.entity.id) == ("creeping", "c1")}.isdisjoint({"resolved"})


# ---- volumes -------------------------------------------------------------------------------------------------


def volumes(detector: CountShift | PredictiveTail | EwmaZ, warning: float) -> Catalogue:
    base = catalogue(orders=[3])
    signal = base.signals["orders"]
    test = change(signal.tests[0], measure="orders", of=None, detector=detector, severity=Severity(warning=warning))
    return change(base, signals={"orders": change(signal, tests=[test], warmup="2d", resolve_after="12h")})


def burst() -> list[Record]:
    """Three orders an hour; on the seventh day c0 has twelve an hour for a while, and then falls silent for good."""
    rng, rows = np.random.default_rng(3), []
    for hour in range(10 * 24):
        for who in range(5):
            busy = who == 0 and 144 <= hour < 150
            n = 0 if who == 0 and hour >= 150 else int(rng.poisson(12 if busy else 3))
            at = START + hour * HOUR + rng.integers(0, HOUR, n)
            rows += [(when, f"{who}-{hour}-{i}", f"c{who}") for i, when in enumerate(at.tolist())]
    return numbered(event(name, "order.paid", who, at) for at, name, who in sorted(rows))


def test_the_evidence_of_one_that_fell_silent_fades_when_it_is_asked_about_and_its_episode_ends() -> None:
    engine, told, records = Engine(volumes(CountShift(), 4.0), TOPIC, 0), [], burst()
    silent = next(i for i, r in enumerate(records) if b"0-149-" in bytes(r.value or b""))
    last = START + 150 * HOUR
    alerts = engine.feed(records[:silent]).alerts
    watch = engine.plan.watches[0][0]
    assert isinstance(watch, SeriesWatch)
    for hours in range(2, 88, 6):
        alerts += engine.feed([r for r in records[engine.next_offset :] if _at(r) < last + hours * HOUR]).alerts
        slot = np.array([engine.entities.slot("c0", "TH")])
        told.append(float(watch.score(0, watch.observe(engine.clock.closed, 0, slot)).score[0]))
    assert told[0] > 2.0
    assert told == sorted(told, reverse=True)
    assert told[-1] < 0.5
    assert watch.told[slot][0] > 2.0  # asking about it is not learning
    hero = [a.status for a in alerts if a.entity.id == "c0"]
    assert (hero[0], hero[-1]) == ("opened", "resolved")


def _at(record: Record) -> int:
    return int(msgspec.json.decode(record.value or b"")["occurred_at"])


def test_a_score_that_says_how_rare_one_pane_is_comes_with_its_p_value() -> None:
    _, result = run(burst(), volumes(PredictiveTail(), -0.5))
    alerts = [a for a in result.alerts if a.status != "resolved"]
    assert len(alerts) >= 3
    for alert in alerts:
        assert alert.p_value == pytest.approx(10.0**-alert.score, rel=1e-3)
        assert (alert.clears_at, alert.changed_at) == (None, None)
        assert "since" not in alert.reason


@pytest.mark.parametrize("warmup", [3, 10_000])
def test_what_a_detector_says_while_it_warms_up_is_no_past_score(warmup: int) -> None:
    watch = run(burst(), volumes(EwmaZ(warmup=warmup), 1e6))[0].plan.watches[0][0]
    assert isinstance(watch, SeriesWatch)
    assert (watch.stepped > 0).sum() == 5
    assert watch.past.counts.any() == watch.told.any() == (warmup == 3)


def test_a_rise_below_the_least_effect_never_adds_up() -> None:
    """Twice as many for six days: evidence where 1.2 times the usual is enough, none where 2.5 times is asked for."""
    small, large = (peak(effect) for effect in (1.2, 2.5))
    assert small > 4.0
    assert large < 1.0


def peak(effect: float) -> float:
    """The highest score of a creator whose orders have doubled."""
    base = volumes(CountShift(), 1e6)
    signal = base.signals["orders"]
    tests = [change(signal.tests[0], effect=effect)]
    engine = Engine(change(base, signals={"orders": change(signal, tests=tests)}), TOPIC, 0)
    rng, rows = np.random.default_rng(6), []
    for hour in range(14 * 24):
        for who in range(5):
            n = int(rng.poisson(6 if who == 0 and hour >= 192 else 3))
            at = START + hour * HOUR + rng.integers(0, HOUR, n)
            rows += [(when, f"{who}-{hour}-{i}", f"c{who}") for i, when in enumerate(at.tolist())]
    engine.feed(numbered(event(name, "order.paid", who, at) for at, name, who in sorted(rows)))
    watch = engine.plan.watches[0][0]
    assert isinstance(watch, SeriesWatch)
    return float(watch.told[engine.entities.slot("c0", "TH")])


def test_nothing_is_said_of_a_creator_before_four_learned_days() -> None:
    records = stream(3)
    late = START + 40 * DAY
    rows = [event(f"n{i}", "order.paid", "new", late + i * HOUR) for i in range(48)]
    rows += [event(f"n{i}r", "refund.approved", "new", late + 47 * HOUR + i, attrs={"ref_at": late}) for i in range(12)]
    merged = sorted([*((r.key, r.value) for r in records), *rows], key=lambda pair: decode(pair[1])["occurred_at"])
    alerts = run(numbered(merged), catalogue(creeping=[3], surging=[0]))[1].alerts
    assert not [a for a in alerts if a.entity.id == "new"]
    assert [a for a in alerts if a.entity.id == "c1"]
