"""When a change began: the start that explains the counts best."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.schema import Severity, Volume
from streams.dating import best_start
from streams.records import Alert
from tests.streamed import DAY, HOUR, START, event, numbered, run, shipped

STREAMS, PANES = 400, 48
examples = settings(max_examples=60, derandomize=True, deadline=None)


def errors(mean: float, times: float, seed: int, low: bool = False) -> np.ndarray:
    """(STREAMS,) panes between the planted start, 8 to 24 panes ago, and the one that is found."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(STREAMS):
        lasts = int(rng.integers(8, 25))
        counts = rng.poisson(mean * np.where(np.arange(PANES) < lasts, times, 1.0)).astype(np.float64)
        first = best_start(counts, np.full(PANES, mean), low)
        found.append(PANES if first is None else first - (lasts - 1))
    return np.array(found)


@pytest.mark.parametrize(("times", "share", "exact"), [(3.0, 0.92, 0.64), (6.0, 0.99, 0.94)])
def test_the_start_of_a_planted_change_is_found_within_two_panes(times: float, share: float, exact: float) -> None:
    """Shares measured on 400 streams each; the margin is three standard errors."""
    off = np.abs(errors(2.0, times, seed=1))
    for measured, usual in (((off <= 2).mean(), share), ((off == 0).mean(), exact)):
        assert measured >= usual - 3.0 * np.sqrt(usual * (1.0 - usual) / STREAMS)


def test_a_start_is_missed_to_either_side_alike() -> None:
    off = errors(2.0, 3.0, seed=2)
    off = off[np.abs(off) <= 4]
    assert abs(off.mean()) <= 0.25


def test_the_start_of_a_fall_is_found_where_too_few_are_strange() -> None:
    off = np.abs(errors(6.0, 1 / 3, seed=3, low=True))
    assert (off <= 2).mean() >= 0.94 - 3.0 * np.sqrt(0.94 * 0.06 / STREAMS)


def test_where_nothing_is_off_there_is_no_date() -> None:
    flat = np.full(6, 2.0)
    assert best_start(flat, flat) is None
    assert best_start(flat, flat, low=True) is None
    assert best_start(0.5 * flat, flat) is None
    assert best_start(2.0 * flat, flat, low=True) is None
    assert best_start(np.zeros(6), np.zeros(6)) is None


def test_a_change_of_the_newest_pane_alone_began_with_it() -> None:
    assert best_start(np.array([9.0, 1.0, 1.0, 1.0]), np.ones(4)) == 0
    assert best_start(np.array([0.0, 5.0, 5.0, 5.0]), np.full(4, 5.0), low=True) == 0


@examples
@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0.01, 20.0)), min_size=1, max_size=40), st.booleans())
def test_no_start_explains_the_counts_better(panes: list[tuple[int, float]], low: bool) -> None:
    """Against every start, written out."""
    value, expected = (np.array([float(p[i]) for p in panes]) for i in range(2))
    worth = []
    for n in range(1, len(panes) + 1):
        hits, mass = value[:n].sum(), expected[:n].sum()
        beyond = hits < mass if low else hits > mass
        worth.append((hits * np.log(hits / mass) if hits else 0.0) - (hits - mass) if beyond else -1.0)
    first = best_start(value, expected, low)
    if first is None:
        assert max(worth) <= 1e-9
    else:
        assert worth[first] == pytest.approx(max(worth), abs=1e-9)


# ---- in an alert ---------------------------------------------------------------------------------------------

BEGIN = START + 8 * DAY + 5 * HOUR


def told(hero: int) -> list[Alert]:
    """Six creators with four orders an hour; from BEGIN on the first one has so many."""
    change, base = msgspec.structs.replace, shipped()
    shown = base.signals["refund_rate"]
    test = Volume(measure="orders", windows=["24h by 1h", "7d by 6h"], severity=Severity(warning=4.0))
    signals = {"orders": change(shown, tests=[test], overrides=[])}
    catalogue = change(
        base,
        engine=change(base.engine, pane="1h"),
        markets={"default": base.markets["default"]},
        groups={},
        calendar={},
        signals=signals,
    )
    rng, rows = np.random.default_rng(5), []
    for hour in range(10 * 24):
        for who in range(6):
            often = hero if who == 0 and START + hour * HOUR >= BEGIN else 4
            at = START + hour * HOUR + rng.integers(0, HOUR, int(rng.poisson(often)))
            rows += [(when, f"{who}-{hour}-{i}", f"c{who}") for i, when in enumerate(at.tolist())]
    return run(numbered(event(n, "order.paid", who, at) for at, n, who in sorted(rows)), catalogue)[1].alerts


def test_an_alert_of_a_window_says_when_the_change_began_and_not_when_the_window_does() -> None:
    """From the panes of the longest window: as good at the first revision as at later ones."""
    alerts = told(hero=20)
    assert {a.entity.id for a in alerts} == {"c0"}
    assert alerts[0].status == "opened"
    assert alerts[0].opened_at < BEGIN + DAY
    for alert in alerts:
        if alert.status != "resolved":
            assert alert.changed_at is not None
            hop = HOUR if alert.window == "P1D" else 6 * HOUR
            assert abs(alert.changed_at - BEGIN) <= hop + HOUR
            assert alert.window_start != alert.changed_at
