"""Sharing out a budget of false alarms, and listening to scores without touching decisions."""

import msgspec
import numpy as np
import pytest

from config.catalogue import load
from config.schema import Catalogue, Override, Severity
from streams.calibrate import APART_MS, HIGHEST, LOWEST, NOW, OFFSETS, Curves, Listened, curves, listen, share_out
from streams.columns import Record
from streams.labels import read_kinds
from streams.replay import replay
from streams.scorecard import Label
from streams.simulate import Simulation, simulate
from streams.spread import murmur2

HOUR = 3_600_000
SIGNALS = ("complaint_rate", "refund_rate")
KINDS = {"refund_surge": ["refund_rate"]}


def with_signals(*names: str) -> Catalogue:
    catalogue = load()
    markets = {code: msgspec.structs.replace(market, thresholds={}) for code, market in catalogue.markets.items()}
    signals = {name: catalogue.signals[name] for name in names}
    return msgspec.structs.replace(catalogue, signals=signals, markets=markets, groups={})


def heard_of(rows: dict[tuple[str, str, str], list[tuple[int, float]]], days: float = 1_000.0) -> Listened:
    return Listened(rows, days)


def false_at(c: Curves, signal: int, offset: float) -> int:
    return int(c.false[signal, OFFSETS.tolist().index(offset)])


def test_scores_of_one_creator_are_one_alarm_until_two_days_pass_without_any() -> None:
    rows = [(0, 0.5), (HOUR, 1.0), (APART_MS // 2, -1.0), (3 * APART_MS, 0.2)]
    c = curves([(heard_of({("refund_rate", "c", "TH"): rows}), [])], SIGNALS, KINDS)
    assert [false_at(c, 1, offset) for offset in (0.0, 0.3, 0.9, 1.1)] == [2, 1, 1, 0]
    assert not c.false[0].any()


def test_what_is_said_of_an_episode_is_no_false_alarm_but_a_catch() -> None:
    label = Label("c", "TH", "refund_surge", 10 * HOUR, 20 * HOUR)
    rows = {("refund_rate", "c", "TH"): [(15 * HOUR, 0.7)], ("complaint_rate", "c", "TH"): [(15 * HOUR, 0.7)]}
    c = curves([(heard_of(rows), [label])], SIGNALS, KINDS)
    assert not c.false[1].any()
    assert false_at(c, 0, 0.0) == 1  # a signal that may not speak for that kind
    assert c.catches[1, :, 0].tolist() == (OFFSETS <= 0.7).tolist()
    assert not c.catches[0].any()


def test_a_lookalike_is_no_episode() -> None:
    label = Label("c", "TH", "lookalike:raid", 0, 9 * HOUR)
    c = curves([(heard_of({("refund_rate", "c", "TH"): [(HOUR, 0.7)]}), [label])], SIGNALS, KINDS)
    assert false_at(c, 1, 0.0) == 1
    assert c.catches.shape[2] == 0


def made(false: list[list[int]], catches: list[list[list[int]]]) -> Curves:
    """Curves from a few steps, the strictest first; the last step holds for all lower thresholds."""
    wide = np.array([row + [row[-1]] * (len(OFFSETS) - len(row)) for row in false])
    reach = [[[f <= i for f in first] for i in range(len(OFFSETS))] for first in catches]
    return Curves(("a", "b"), wide, np.array(reach, dtype=bool).reshape(2, len(OFFSETS), -1), 1_000.0)


def test_with_labels_the_budget_goes_where_it_finds_most() -> None:
    c = made([[0, 1, 9], [0, 4, 5]], [[[1, 1, 1, 99]], [[99, 99, 99, 1]]][0:0] or [[1, 1, 1, 99], [99, 99, 99, 1]])
    at = share_out(c, 5.0)
    assert at == [1, 1]
    assert share_out(c, 1.0) == [1, 0]
    assert share_out(c, 0.0) == [0, 0]


def test_an_episode_that_another_signal_finds_already_is_worth_nothing() -> None:
    c = made([[0, 1], [0, 1]], [[1, 1], [1, 1]])
    assert sorted(share_out(c, 100.0)) == [0, NOW]  # and what costs no more


def test_what_costs_nothing_is_loosened_even_where_the_budget_is_spent() -> None:
    c = made([[5, 9], [0, 0, 0, 7]], [[1], [2]])
    assert share_out(c, 1.0) == [0, 2]


def test_a_threshold_is_no_higher_than_false_alarms_are_a_reason_for() -> None:
    c = made([[0, 3], [0, 0, 0, 7]], [[99], [99]])  # no episode is found by either
    assert share_out(c, 100.0) == [0, 2]
    none = made([[0], [0]], [[99], [99]])
    assert share_out(none, 0.0) == [NOW, NOW]


def test_signals_that_are_to_stay_keep_their_thresholds_and_all_do_without_evidence() -> None:
    c = made([[0, 3], [0, 3]], [[1], [1]])
    assert share_out(c, 100.0, still=["a"])[0] == NOW
    assert share_out(c._replace(creator_days=0.0), 100.0) == [NOW, NOW]


def test_without_labels_every_signal_gets_about_the_same() -> None:
    c = made([list(range(46)), [2 * n for n in range(46)]], [[], []])
    at = share_out(c, 30.0)
    false = [int(c.false[s, i]) for s, i in enumerate(at)]
    assert sum(false) <= 30
    assert abs(false[0] - false[1]) <= 2


@pytest.mark.parametrize("budget", [0.0, 1.0, 7.0])
def test_the_budget_is_never_exceeded(budget: float) -> None:
    rng = np.random.default_rng(4)
    false = np.cumsum(rng.poisson(0.7, (2, len(OFFSETS))), axis=1)
    false[:, 0] = 0
    catches = np.cumsum(rng.random((2, len(OFFSETS), 30)) < 0.05, axis=1) > 0
    c = Curves(("a", "b"), false, catches, 1_000.0)
    at = share_out(c, budget)
    assert sum(int(false[s, i]) for s, i in enumerate(at)) <= budget


def test_listening_changes_no_decision_and_hears_what_was_decided() -> None:
    events, labels = simulate(Simulation(seed=3, days=9, creators=30, planted=1, campaign_days=()))
    few = ("refund_rate", "live_viewbot", "account_takeover", "fake_engagement", "sample_integrity")
    catalogue, entries = with_signals(*few), []
    for n, (key, value, _) in enumerate(events.iter_records()):
        entries.append(((murmur2(key) & 0x7FFFFFFF) % 2, Record(n, key, value)))
    told = replay(entries, catalogue, close=True)
    heard = listen(entries, catalogue)
    opened = {(a.signal, a.entity.id, a.market) for a in (*told.alerts, *told.shadow)}
    over = {key for key, rows in heard.heard.items() if max(margin for _, margin in rows) >= 0.0}
    assert opened
    assert opened <= over
    assert all(LOWEST <= margin <= 400.0 for rows in heard.heard.values() for _, margin in rows)
    assert heard.creator_days == pytest.approx(told.creators * told.days, rel=0.1)
    c = curves([(heard, labels)], sorted(catalogue.signals), read_kinds())
    assert (np.diff(c.false, axis=1) >= 0).sum() > 0
    assert HIGHEST > 0 > LOWEST


def test_what_an_override_asks_less_for_is_heard_too() -> None:
    catalogue = with_signals("refund_rate")
    signal = catalogue.signals["refund_rate"]
    less = Override(because="Fewer are enough.", minimum=1, minimum_of=1, effect=1, severity=Severity(warning=0.5))
    signals = {"refund_rate": msgspec.structs.replace(signal, overrides=[less])}
    loose, entries = msgspec.structs.replace(catalogue, signals=signals), []
    events, _ = simulate(Simulation(seed=3, days=9, creators=30, planted=1, campaign_days=()))
    for n, (key, value, _) in enumerate(events.iter_records()):
        entries.append((0, Record(n, key, value)))
    opened = {(a.entity.id, a.market) for a in replay(entries, loose, close=True).alerts}
    heard = {key[1:] for key, rows in listen(entries, loose).heard.items() if max(m for _, m in rows) >= 0.0}
    assert opened
    assert opened <= heard
