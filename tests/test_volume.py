"""How many alerts to expect: the intervals of a mean and of the week to come hold what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from streams.compare_volume import ALL, LEARNING_DAYS, counted_days, volume_rows, weeks_to_come, with_all
from streams.volume import WEEK, Interval, mean_interval, next_week
from streams.what_if import draws

COUNTS = st.lists(st.integers(0, 60), min_size=2, max_size=70)


def markets(days: int, most: int = 60) -> st.SearchStrategy[dict[str, list[int]]]:
    return st.dictionaries(st.sampled_from(["TH", "VN", "ID"]), st.lists(st.integers(0, most), min_size=days,
                           max_size=days), min_size=1)  # fmt: skip


def mean_of(counts: list[int]) -> Interval:
    found = mean_interval(np.array(counts, dtype=np.int64), draws(len(counts)))
    assert found is not None
    return found


def week_of(counts: list[int]) -> Interval:
    found = next_week({"TH": np.array(counts, dtype=np.int64)})["TH"]
    assert found is not None
    return found


# ---- the mean of a day -----------------------------------------------------------------------------------------


@given(COUNTS)
def test_the_interval_of_a_mean_has_the_mean_in_it_and_no_day_that_never_was(counts: list[int]) -> None:
    found = mean_of(counts)
    assert found.value == pytest.approx(sum(counts) / len(counts))
    assert min(counts) - 1e-9 <= found.low <= found.value <= found.high <= max(counts) + 1e-9


def test_a_difference_between_weekdays_alone_leaves_nothing_unknown() -> None:
    """A block is a week, wherever it begins: each weekday is in it once."""
    found = mean_of([9, 9, 9, 9, 9, 0, 2] * 6)
    assert found.high - found.low < 1e-9


def test_days_that_cluster_leave_more_unknown_than_days_that_alternate() -> None:
    clustered, spread = [0] * 14 + [8] * 14 + [0] * 14 + [8] * 14, [0, 8] * 28
    assert mean_of(clustered).high - mean_of(clustered).low > 3 * (mean_of(spread).high - mean_of(spread).low)


@pytest.mark.parametrize("days", [0, 1])
def test_fewer_than_two_days_say_nothing(days: int) -> None:
    few = np.full(days, 3)
    assert mean_interval(few, draws(days)) is None
    assert next_week({"TH": few}) == {"TH": None}


def test_the_same_days_under_both_have_a_difference_without_any_doubt() -> None:
    """Whereas each by itself is unsure: the difference is taken day by day."""
    counts = {"TH": np.array([0, 3, 9, 1] * 7)}
    rows = {(row.market, row.under): row for row in volume_rows(counts, counts, draws(28), 15.0)}
    alone, more = rows["TH", "base"], rows["TH", "difference"]
    assert (more.per_day, more.per_day_low, more.per_day_high) == (0.0, 0.0, 0.0)
    assert (more.next_week, more.next_week_low) == (None, None)
    assert alone.per_day_low is not None
    assert alone.per_day_high is not None
    assert alone.per_day_low < alone.per_day_high
    assert alone.hours_per_day == 3.25 / 4


# ---- the week to come ------------------------------------------------------------------------------------------


@given(COUNTS)
def test_the_week_to_come_is_as_the_days_were_within_its_interval(counts: list[int]) -> None:
    weeks = len(counts) // WEEK
    used = counts[len(counts) - weeks * WEEK :] if weeks >= 3 else counts
    found = week_of(counts)
    assert found.value == pytest.approx(WEEK * sum(used) / len(used))
    assert 0 <= found.low <= found.value <= found.high


@given(st.lists(st.integers(0, 40), min_size=WEEK, max_size=WEEK), st.integers(3, 5))
def test_fewer_weeks_of_the_same_leave_more_unknown(week: list[int], weeks: int) -> None:
    quiet, loud = week, [2 * count + 1 for count in week]
    few, many = week_of((quiet + loud) * weeks), week_of((quiet + loud) * 4 * weeks)
    assert few.value == pytest.approx(many.value)
    assert few.high - few.low >= many.high - many.low


@given(markets(28))
def test_a_market_learns_from_the_others_how_weeks_differ_and_all_together_from_nothing_else(
    counts: dict[str, list[int]],
) -> None:
    arrays = {market: np.array(each, dtype=np.int64) for market, each in counts.items()}
    found = weeks_to_come(with_all(arrays))
    assert found == next_week(arrays) | next_week({ALL: sum(arrays.values(), np.zeros(28, np.int64))})


def test_the_week_to_come_is_negative_binomial_with_what_is_unknown_of_its_mean() -> None:
    """Four weeks of 70 that do not differ: by the law of decision 0047 and scipy's own quantiles."""
    guess = 1 + 0.3**2 * 70  # variance over mean of weeks that differ by 30 % beyond chance
    ratio = 4 * (3 * guess / (3 + 3)) / (3 + 4)  # three comparisons without any difference, twice
    variance = 70 * ratio * (1 + 1 / 4)
    rare = stats.norm.sf(stats.t.ppf(0.975, 3 + 3))
    low, high = stats.nbinom.ppf([rare, 1 - rare], 70**2 / (variance - 70), 70 / variance)
    assert week_of([10] * 28) == (70.0, low, high)


def test_no_alert_so_far_does_not_promise_none() -> None:
    found = week_of([0] * 28)
    assert found.value == found.low == 0
    assert found.high >= 1


@pytest.mark.parametrize(("rate", "ratio"), [(2.0, 1.0), (9.0, 2.5), (60.0, 4.0), (300.0, 10.0)])
def test_nine_in_ten_weeks_to_come_are_within_their_interval(rate: float, ratio: float) -> None:
    """Weeks of a negative binomial law, four of them known: what the simulator's weeks look like. 95 % are promised."""
    rng, hits, n = np.random.default_rng(7), 0, 0
    for _ in range(200):
        means = np.full((3, 5), rate) if ratio == 1 else rng.gamma(rate / (ratio - 1), ratio - 1, (3, 5))
        days = rng.poisson(np.repeat(means, WEEK, axis=1) / WEEK)
        truth = days[:, -WEEK:].sum(axis=1)
        found = next_week({str(m): each[:-WEEK] for m, each in enumerate(days)})
        for m in range(3):
            week = found[str(m)]
            assert week is not None
            hits, n = hits + (week.low <= truth[m] <= week.high), n + 1
    margin = 3 * (0.95 * 0.05 / n) ** 0.5
    assert hits / n >= 0.95 - margin - 0.02
    assert hits / n > 0.9


def test_the_mean_alone_would_not_do_for_a_week() -> None:
    """Why a week has an interval of its own: seven times that of the mean misses most weeks."""
    rng, hits = np.random.default_rng(8), 0
    for _ in range(200):
        days = rng.poisson(9 / WEEK, 35)
        mean = mean_of(days[:-WEEK].tolist())
        hits += WEEK * mean.low <= days[-WEEK:].sum() <= WEEK * mean.high
    assert hits < 160


def test_the_same_counts_give_the_same_intervals() -> None:
    counts = np.random.default_rng(1).poisson(3, 40).tolist()
    assert mean_of(counts) == mean_of(counts)
    assert week_of(counts) == week_of(counts)


# ---- days that count -------------------------------------------------------------------------------------------


@given(st.integers(0, 90), st.none() | st.integers(0, 120))
def test_the_first_days_are_left_out_but_never_more_than_half_unless_asked_for(days: int, learning: int | None) -> None:
    whole = range(20_000, 20_000 + days)
    counted = counted_days(whole, learning)
    assert list(counted) == list(whole)[days - len(counted) :]
    left_out = days - len(counted)
    assert left_out == (min(LEARNING_DAYS, days // 2) if learning is None else min(learning, days))
