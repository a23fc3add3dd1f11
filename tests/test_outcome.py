"""What a replay found as rows: nothing is lost or counted twice, and nothing is called false without labels."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.outcome import SEVERITIES, daily, episodes, grouped, outcome, peak
from streams.outcome_rows import TABLES, columns
from streams.outcome_score import SIZES, labelled, scorecard, size_of, wilson
from streams.records import Alert
from streams.scorecard import LOOKALIKE, Label, score
from tests.outcomes import CREATORS, DAY, HOUR, KINDS, T0, TITLES, Case, cases, opened, result


def rows_of(case: Case, labelled: bool = True) -> dict:  # type: ignore[type-arg]
    return outcome(case.result, TITLES, case.labels if labelled else None, KINDS)


# ---- episodes ----------------------------------------------------------------------------------------------


@given(cases())
def test_every_alert_is_one_row_and_every_revision_is_counted(case: Case) -> None:
    rows = rows_of(case)["episodes"]
    for shadow, alerts in ((False, case.result.alerts), (True, case.result.shadow)):
        mine = {row.alert_id: row.revisions for row in rows if row.shadow is shadow}
        assert mine == Counter(alert.alert_id for alert in alerts)


@given(cases(), st.randoms())
def test_rows_do_not_hang_on_the_order_of_the_alerts(case: Case, random) -> None:  # type: ignore[no-untyped-def]
    mixed = list(case.result.alerts)
    random.shuffle(mixed)
    assert rows_of(case) == rows_of(Case(case.result._replace(alerts=mixed), case.labels))


@given(cases())
def test_a_row_has_the_first_ones_opening_the_last_ones_end_and_the_peaks_figures(case: Case) -> None:
    alerts: dict[str, list[Alert]] = {}
    for alert in [*case.result.alerts, *case.result.shadow]:
        alerts.setdefault(alert.alert_id, []).append(alert)
    for row in rows_of(case)["episodes"]:
        first, last = alerts[row.alert_id][0], alerts[row.alert_id][-1]
        top = peak(alerts[row.alert_id])
        over = last.status in ("resolved", "retracted")
        assert (row.opened_at, row.status) == (first.opened_at, last.status)
        assert row.ended_at == (last.window_end if over else None)
        assert row.duration_hours == ((last.window_end - first.opened_at) / HOUR if over else None)
        assert (row.score, row.reason, row.observed, row.window) == (top.score, top.reason, top.observed, top.window)
        assert row.severity == max((a.severity for a in alerts[row.alert_id]), key=SEVERITIES.index)
        assert row.title == TITLES.get(row.signal, row.signal)


def test_the_peak_is_the_most_severe_then_the_highest_then_the_first_and_no_end() -> None:
    low, high = opened("a", severity="info", score=9.0), opened("a", severity="critical", score=5.0, revision=2)
    again = replace(high, revision=3)
    end = replace(high, revision=4, status="resolved", score=50.0)
    assert peak([low, high, again, end]) is high
    assert peak([end]) is end


@given(cases())
def test_without_labels_nothing_is_called_true_or_false(case: Case) -> None:
    rows = rows_of(case, labelled=False)
    assert set(rows) == {"episodes", "daily"}
    for row in rows["episodes"]:
        assert row.verdict == "unlabelled"
        assert row.label_kind is row.label_started_at is row.delay_hours is None


def test_with_a_file_of_no_labels_every_alert_is_false() -> None:
    (row,) = episodes([opened("a")], [], TITLES, [], KINDS)
    assert row.verdict == "false"


@given(cases())
def test_verdicts_and_labels_are_those_of_the_scorecard(case: Case) -> None:
    rows, card = rows_of(case), score(case.result.alerts, case.labels, KINDS)
    told = [row for row in rows["episodes"] if not row.shadow]
    assert {row.alert_id for row in told if row.verdict == "false"} == set(card.false)
    assert {row.alert_id for row in told if row.verdict == "unlabelled"} == set(card.unlabelled)
    assert all((row.verdict == "true") == (row.label_kind is not None) for row in rows["episodes"])
    said = sorted((x.creator_id, x.kind, x.started_at, x.ended_at, x.caught, x.alert_id, x.delay_hours)
                  for x in rows["labels"] if not x.lookalike)  # fmt: skip
    found = sorted((e.label.creator_id, e.label.kind, e.label.start_ms, e.label.end_ms, e.caught, e.alert_id,
                    None if e.delay_ms is None else e.delay_ms / HOUR) for e in card.episodes)  # fmt: skip
    assert said == found
    alike = Counter(x.kind for x in rows["labels"] if x.lookalike and x.alert_id is not None)
    assert alike == Counter({one.kind: one.alerted for one in card.lookalikes if one.alerted})


def test_an_alert_about_two_episodes_at_once_is_of_the_newer_one() -> None:
    old, new = Label("c_1", "TH", "refund_surge", T0 - DAY, T0), Label("c_1", "TH", "refund_surge", T0 - HOUR, T0)
    (row,) = episodes([opened("a")], [], TITLES, [old, new], KINDS)
    assert (row.label_started_at, row.delay_hours) == (T0 - HOUR, 1.0)


# ---- days and groups ---------------------------------------------------------------------------------------


@given(cases())
def test_days_and_groups_add_up_to_the_alerts(case: Case) -> None:
    rows = rows_of(case)
    assert sum(row.alerts for row in rows["daily"]) == len(rows["episodes"])
    assert all(0 < row.creators <= min(row.alerts, len(CREATORS)) for row in rows["daily"])
    keys = [(row.day, row.market, row.signal, SEVERITIES.index(row.severity), row.shadow) for row in rows["daily"]]
    assert keys == sorted(set(keys))
    told = sum(not row.shadow for row in rows["episodes"])
    for by in ("signal", "market"):
        groups = grouped(rows["episodes"], by)
        assert sum(one.alerts for one in groups) == told
        assert all(one.critical + one.warning + one.info == one.alerts for one in groups)


def test_a_window_that_ends_at_midnight_is_of_the_new_day() -> None:
    midnight = T0 // DAY * DAY
    rows = daily(episodes([opened("a", at=midnight - 1), opened("b", at=midnight)], [], TITLES))
    assert [row.day for row in rows] == [midnight // DAY - 1, midnight // DAY]


def test_two_alerts_of_a_creator_on_a_day_are_of_one_creator() -> None:
    (row,) = daily(episodes([opened("a"), opened("b", at=T0 + HOUR)], [], TITLES))
    assert (row.alerts, row.creators) == (2, 1)


# ---- the scorecard -----------------------------------------------------------------------------------------


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_holds_the_share_within_0_and_1_and_mirrors(case: tuple[int, int]) -> None:
    hits, n = case
    low, high = wilson(hits, n)
    assert 0 <= low <= hits / n <= high <= 1
    mirrored = wilson(n - hits, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)
    assert low < high
    wider = wilson(hits, n, 3.0)
    assert wider[0] <= low
    assert high <= wider[1]


@given(st.integers(1, 1_000), st.integers(0, 1_000))
def test_wilsons_ends_are_where_the_score_test_is_at_its_mark(n: int, hits: int) -> None:
    """The interval holds every share that a test with 5 % would not refuse; at its ends the test is at its mark."""
    hits = min(hits, n)
    for end in wilson(hits, n):
        if 0 < end < 1 and end != hits / n:
            assert abs(hits / n - end) / math.sqrt(end * (1 - end) / n) == pytest.approx(1.959963984540054, rel=1e-6)


@given(st.integers(1, 500), st.integers(0, 500))
def test_more_of_the_same_narrows_wilsons_interval(n: int, hits: int) -> None:
    hits = min(hits, n)
    few, many = wilson(hits, n), wilson(4 * hits, 4 * n)
    assert many[1] - many[0] < few[1] - few[0]


@given(cases())
def test_the_scorecard_says_the_same_of_all_as_its_parts(case: Case) -> None:
    rows, card = rows_of(case)["scorecard"], score(case.result.alerts, case.labels, KINDS)
    parts = {about: [row for row in rows if row.about == about] for about in {row.about for row in rows}}
    (every,) = parts["all"]
    assert (every.alerts, every.false_alerts) == (card.n_alerts, len(card.false))
    assert (every.labels, every.caught) == (len(card.episodes), sum(e.caught for e in card.episodes))
    assert {row.signal: row.false_alerts for row in parts.get("signal", []) if row.false_alerts} == card.false_by_signal
    for about in ("signal", "market", "size", "signal+market+size"):
        assert sum(row.alerts for row in parts.get(about, [])) == every.alerts
        assert sum(row.true_alerts for row in parts.get(about, [])) == every.true_alerts
    for row in rows:
        assert row.true_alerts + row.false_alerts + row.unlabelled_alerts == row.alerts
        assert row.caught <= row.labels
        assert (row.precision is None) == (row.true_alerts + row.false_alerts == 0)
        assert (row.false_per_1000 is None) == (card.partial or row.creator_days == 0)
        if row.precision is not None:
            assert row.precision_low <= row.precision <= row.precision_high


def test_recall_of_a_signal_is_of_the_kinds_that_it_may_speak_for() -> None:
    labels = [Label("c_1", "TH", "refund_surge", T0, T0 + HOUR), Label("c_2", "TH", "order_spike", T0, T0 + HOUR)]
    found = result([opened("a", "c_1", "refund_rate", T0 + HOUR)])
    rows = episodes(found.alerts, [], TITLES, labels, KINDS)
    recall = {row.signal: (row.labels, row.caught) for row in scorecard(found, rows, labels, KINDS)
              if row.about == "signal"}  # fmt: skip
    assert recall == {"order_spike": (2, 0), "refund_rate": (1, 1)}


def test_false_alerts_are_counted_beside_the_creator_days_of_their_market_and_size() -> None:
    found = result([opened("a", "c_1"), opened("b", "c_3", market="VN")], days=10.0)
    rows = scorecard(found, episodes(found.alerts, [], TITLES, [], KINDS), [], KINDS)
    rate = {(row.about, row.market, row.size): (row.creator_days, row.false_per_1000) for row in rows}
    assert rate["all", None, None] == (30.0, pytest.approx(2_000 / 30))
    assert rate["market", "TH", None] == (20.0, 50.0)
    assert rate["market", "VN", None] == rate["size", None, "over 1,000"] == (10.0, 100.0)
    assert rate["signal+market+size", "TH", "under 1"] == (10.0, 100.0)


def test_a_creator_of_unknown_size_is_in_no_row_by_size() -> None:
    found = result([opened("a", "c_9")])
    rows = scorecard(found, episodes(found.alerts, [], TITLES, [], KINDS), [], KINDS)
    assert {row.about for row in rows} == {"all", "signal", "market"}
    assert size_of(5, 0.0) is None


@given(st.integers(0, 10**9), st.floats(0.01, 4_000))
def test_every_volume_has_a_size(records: int, days: float) -> None:
    assert size_of(records, days) in {name for _, name in SIZES}


def test_a_lookalike_is_caught_by_nobody_but_says_which_alert_spoke_of_it() -> None:
    raid = Label("c_1", "TH", f"{LOOKALIKE}raid", T0, T0 + HOUR)
    (row,) = labelled([opened("a", "c_1", "order_spike", T0 + HOUR)], [raid], KINDS)
    assert (row.lookalike, row.caught, row.alert_id, row.delay_hours) == (True, None, "a", None)


@pytest.mark.parametrize("name", TABLES)
def test_every_column_says_what_it_holds(name: str) -> None:
    assert TABLES[name].__doc__
    for column in columns(TABLES[name]):
        assert column.meaning, column.name
        assert column.meaning[0] not in " ."
        assert "|" not in column.meaning


# ---- warm-up -----------------------------------------------------------------------------------------------


@given(cases(), st.integers(0, 30))
def test_what_is_of_the_warm_up_is_marked_and_in_no_row_of_the_scorecard(case: Case, days: int) -> None:
    began = min((label.start_ms for label in case.labels), default=T0)
    cold = case.result._replace(began=began).after_warmup(days * DAY)
    rows = outcome(cold, TITLES, case.labels, KINDS)
    assert all(row.cold == (row.opened_at < cold.warm_at) for row in rows["episodes"])
    assert all(row.cold == (row.started_at < cold.warm_at) for row in rows["labels"])
    (about_all,) = (row for row in rows["scorecard"] if row.about == "all")
    assert about_all.alerts == sum(not row.cold and not row.shadow for row in rows["episodes"])
    assert about_all.labels == sum(not row.cold and not row.lookalike for row in rows["labels"])
    assert about_all.caught == sum(not row.cold and bool(row.caught) for row in rows["labels"])
    assert about_all.creator_days == len({creator for creator, _ in cold.entities}) * max(cold.days - days, 0.0)


@given(cases())
def test_without_a_warm_up_nothing_is_cold(case: Case) -> None:
    assert not any(row.cold for name in ("episodes", "daily", "labels") for row in rows_of(case)[name])
